//! What a merchant sees of their payments in a browser: payments, attempts, ledger entries and
//! webhooks, live. Nothing can be changed here.
//!
//! A page is drawn from what payment-api answers at that moment, asked with the merchant's own key:
//! there is no state, no database and no key of its own. Invariants:
//! - a key goes from the request to payment-api, and is kept, logged and shown nowhere;
//! - what payment-api does not give is said in the place where it would be, and the rest is shown;
//! - who looks on pays with their own rate limit, so a page that is watched costs a few requests every
//!   five seconds: fifteen at most, for a payment with ten events;
//! - every text is escaped by its template, and a page loads nothing from anywhere else;
//! - where somebody is, is in the address: any page can be linked.

pub mod app;
pub mod config;

mod api;
mod deliveries;
mod events;
mod figures;
#[cfg(test)]
mod fixture;
mod frame;
mod ledger;
mod paging;
mod payment;
mod payments;
mod sign_in;
mod webhooks;
mod words;

pub use api::Api;
