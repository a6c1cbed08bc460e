//! Every parser of the payment services against inputs that nobody sends: each reads or refuses, says
//! what it refuses without a secret, changes no amount, and nothing crashes.

mod acquirer;
mod addresses;
mod api;
mod cards;
mod certificates;
mod controller;
mod messages;
mod operator;
mod places;
mod reports;
mod samples;
mod settings;
mod traces;
mod words;
