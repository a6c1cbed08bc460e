//! The objects of Azure, in Azure's own words.
