//! An enum of unit variants: a closed list of words, each with its description.

use crate::problems::Problems;
use crate::raw;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Fields};

struct Variant {
    ident: Ident,
    word: String,
    description: String,
}

pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut problems = Problems::default();
    let variants = prove(input, &mut problems);
    match problems.into_compile_errors() {
        Some(errors) => errors,
        None => emit(&input.ident, &variants),
    }
}

fn prove(input: &DeriveInput, problems: &mut Problems) -> Vec<Variant> {
    let Data::Enum(data) = &input.data else {
        problems.at(
            &input.ident,
            "a choice is an enum; derive `Attributes` for a struct",
        );
        return Vec::new();
    };
    if data.variants.is_empty() {
        problems.at(&input.ident, "a choice needs at least one variant");
    }
    let mut variants: Vec<Variant> = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            problems.at(
                &variant.fields,
                "a variant of a choice is one word and holds nothing",
            );
        }
        let description = raw::docs(&variant.attrs);
        if description.is_empty() {
            problems.at(
                &variant.ident,
                "add a doc comment: it describes this allowed value",
            );
        }
        let mut word = snake_case(&variant.ident.to_string());
        for written in raw::words(&variant.attrs, "choice", &["name"], problems) {
            if let Some(name) = written.string(problems) {
                word = name;
            }
        }
        if variants.iter().any(|other| other.word == word) {
            problems.at(
                &variant.ident,
                format!("two variants are written \"{word}\""),
            );
        }
        variants.push(Variant {
            ident: variant.ident.clone(),
            word,
            description,
        });
    }
    variants
}

fn emit(ident: &Ident, variants: &[Variant]) -> TokenStream {
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let words = variants.iter().map(|variant| &variant.word);
    let descriptions = variants.iter().map(|variant| &variant.description);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::paymesh_plugin::spec::Choice for #ident {
            const ALL: &'static [Self] = &[#(Self::#idents),*];

            fn word(&self) -> &'static str {
                match self { #(Self::#idents => #words,)* }
            }

            fn description(&self) -> &'static str {
                match self { #(Self::#idents => #descriptions,)* }
            }
        }

        #[automatically_derived]
        impl ::std::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(::paymesh_plugin::spec::Choice::word(self))
            }
        }

        #[automatically_derived]
        impl ::std::str::FromStr for #ident {
            type Err = ::std::string::String;

            fn from_str(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                ::paymesh_plugin::spec::parse_choice(text)
            }
        }

        #[automatically_derived]
        impl ::paymesh_plugin::spec::Text for #ident {
            fn describe() -> ::std::vec::Vec<::std::string::String> {
                ::paymesh_plugin::spec::describe_choice::<Self>()
            }

            fn from_text(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                ::paymesh_plugin::spec::parse_choice(text)
            }
        }

        #[automatically_derived]
        impl ::paymesh_plugin::spec::Attribute for #ident {
            type Draft = Self;

            fn shape() -> ::paymesh_plugin::spec::Shape {
                ::paymesh_plugin::spec::choice_shape::<Self>()
            }

            fn draft(
                value: &::paymesh_plugin::value::Value,
                reader: &mut ::paymesh_plugin::spec::Reader<'_>,
            ) -> ::paymesh_plugin::spec::Field<Self> {
                reader.choice(value)
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

/// `HighAvailability` is written `high_availability`.
fn snake_case(name: &str) -> String {
    let mut word = String::new();
    for (i, letter) in name.char_indices() {
        if letter.is_uppercase() && i > 0 {
            word.push('_');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn a_variant_is_written_in_snake_case() {
        assert_eq!(snake_case("HighAvailability"), "high_availability");
        assert_eq!(snake_case("On"), "on");
    }
}
