//! The objects of Google Cloud, in Google's own words.
