//! A newtype over `String` whose values have passed its checks.

use crate::problems::Problems;
use crate::raw;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Expr, Fields};

pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut problems = Problems::default();
    let checks = prove(input, &mut problems);
    match problems.into_compile_errors() {
        Some(errors) => errors,
        None => emit(input, &checks),
    }
}

fn prove(input: &DeriveInput, problems: &mut Problems) -> Vec<Expr> {
    let is_newtype = matches!(
        &input.data,
        Data::Struct(data) if matches!(&data.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1)
    );
    if !is_newtype {
        problems.at(
            &input.ident,
            "a checked text wraps one string: `struct PoolName(String);`",
        );
    }
    let mut checks = Vec::new();
    for word in raw::words(&input.attrs, "text", &["check"], problems) {
        checks.extend(word.expr(problems));
    }
    if checks.is_empty() && is_newtype {
        problems.at(
            &input.ident,
            "say what the text must be: `#[text(check = dns_label(1..=12))]`",
        );
    }
    checks
}

fn emit(input: &DeriveInput, checks: &[Expr]) -> TokenStream {
    let ident = &input.ident;
    let checks = quote! {
        #[allow(unused_imports)]
        use ::paymesh_plugin::spec::checks::*;
        let checks: &[&dyn ::paymesh_plugin::spec::Check<::std::string::String>] = &[#(&#checks),*];
    };
    quote! {
        #[automatically_derived]
        impl #ident {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        #[automatically_derived]
        impl ::std::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(&self.0)
            }
        }

        #[automatically_derived]
        impl ::std::str::FromStr for #ident {
            type Err = ::std::string::String;

            fn from_str(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                #checks
                ::paymesh_plugin::spec::checked_text(text, checks).map(Self)
            }
        }

        #[automatically_derived]
        impl ::paymesh_plugin::spec::Text for #ident {
            fn describe() -> ::std::vec::Vec<::std::string::String> {
                #checks
                checks.iter().map(|check| check.describe()).collect()
            }

            fn from_text(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                ::std::str::FromStr::from_str(text)
            }
        }

        #[automatically_derived]
        impl ::paymesh_plugin::spec::Attribute for #ident {
            type Draft = Self;

            fn shape() -> ::paymesh_plugin::spec::Shape {
                ::paymesh_plugin::spec::Shape::Text {
                    checks: <Self as ::paymesh_plugin::spec::Text>::describe(),
                }
            }

            fn draft(
                value: &::paymesh_plugin::value::Value,
                reader: &mut ::paymesh_plugin::spec::Reader<'_>,
            ) -> ::paymesh_plugin::spec::Field<Self> {
                reader.text(value)
            }

            fn complete(
                draft: ::paymesh_plugin::spec::Field<Self>,
                reader: &mut ::paymesh_plugin::spec::Reader<'_>,
            ) -> ::std::option::Option<Self> {
                reader.present(draft)
            }

            fn into_draft(self) -> ::paymesh_plugin::spec::Field<Self> {
                ::paymesh_plugin::spec::Field::Known(self)
            }

            fn value(draft: &::paymesh_plugin::spec::Field<Self>) -> ::paymesh_plugin::value::Value {
                draft.to_value(::paymesh_plugin::spec::text_value)
            }
        }
    }
}
