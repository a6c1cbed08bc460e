//! Derive macros: one typed struct is the schema, the docs and the decoder.
//!
//! An author writes what the user sets as a **Spec**, what the cloud reports as a **Status**, nested
//! objects as **Attributes**, closed lists of words as a **Choice**, and checked strings as **Text**.
//! A field's place and type give its Terraform flags:
//!
//! | declared as | Terraform flag |
//! |---|---|
//! | `T` in a Spec | required |
//! | `Option<T>` in a Spec | optional |
//! | `#[attr(default = expr)] T` in a Spec | optional and computed, planned as `expr` when left out |
//! | any field of a Status | computed |
//! | `Secret<T>` in a Spec | write-only, with a sibling named `<field>_version` |
//! | `Sensitive<T>` | known to plan and state, shown by nobody |
//!
//! Words of `#[attr(...)]` on a field:
//!
//! | word | meaning |
//! |---|---|
//! | `default = expr` | value planned when the user leaves the attribute out |
//! | `check = expr` | a check from `spec::checks`, or any `Check`; may be repeated |
//! | `replace` | a change makes a new object; on an object, its appearing or disappearing does |
//! | `rolling` | a change is rolled out step by step, as a new pool takes over from an old one |
//! | `one_of = "group"` | exactly one attribute of the group is set |
//! | `at_most_one = "group"` | not more than one attribute of the group is set |
//! | `identity` | part of the resource identity |
//! | `since = "0.2"` | first version that knows the attribute |
//!
//! Doc comments are the descriptions, so a missing one does not compile. `#[deprecated(note = "...")]`
//! becomes the deprecation message. Every mistake in a declaration is reported in one go.
//!
//! Parsing ([`raw`]) only collects what is written; [`object`], [`choice`] and [`text`] prove that it
//! makes sense and hold nothing else; `emit` modules turn the proven form into code and cannot fail.

mod choice;
mod object;
mod object_emit;
mod problems;
mod raw;
mod suggest;
mod text;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// What the user sets: the root of a resource, data source, ephemeral resource or provider block.
///
/// `#[spec(name = "paymesh_cluster", version = 1, status = ClusterStatus)]` names the Terraform type,
/// the version of its schema (0 if left out) and its Status (none if left out). `rule = function`
/// adds a rule over several fields.
#[proc_macro_derive(Spec, attributes(spec, attr))]
pub fn derive_spec(input: TokenStream) -> TokenStream {
    object::expand(
        &parse_macro_input!(input as DeriveInput),
        object::Kind::Spec,
    )
    .into()
}

/// What the cloud reports: every attribute is computed.
#[proc_macro_derive(Status, attributes(attr))]
pub fn derive_status(input: TokenStream) -> TokenStream {
    object::expand(
        &parse_macro_input!(input as DeriveInput),
        object::Kind::Status,
    )
    .into()
}

/// A nested object, in a Spec or in a Status: always an attribute, never a block.
///
/// `#[attributes(rule = function)]` adds a rule over several of its fields.
#[proc_macro_derive(Attributes, attributes(attributes, attr))]
pub fn derive_attributes(input: TokenStream) -> TokenStream {
    object::expand(
        &parse_macro_input!(input as DeriveInput),
        object::Kind::Attributes,
    )
    .into()
}

/// A closed list of words: each variant in `snake_case` is an allowed value, described by its docs.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn derive_choice(input: TokenStream) -> TokenStream {
    choice::expand(&parse_macro_input!(input as DeriveInput)).into()
}

/// A checked string, usable as a value and as the key of a map: `struct PoolName(String)`.
///
/// `#[text(check = dns_label(1..=12))]` says what the string must be.
#[proc_macro_derive(Text, attributes(text))]
pub fn derive_text(input: TokenStream) -> TokenStream {
    text::expand(&parse_macro_input!(input as DeriveInput)).into()
}
