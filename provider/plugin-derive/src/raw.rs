//! What is written in attributes and doc comments, before anyone asks whether it makes sense.

use crate::problems::Problems;
use crate::suggest::nearest;
use proc_macro2::Ident;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

/// One `word` or `word = value` of an attribute list.
pub(crate) struct Word {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

impl Parse for Word {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.parse()?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self { name, value })
    }
}

/// All words of the attributes called `list`; a word that is not known is a mistake.
pub(crate) fn words(
    attributes: &[Attribute],
    list: &str,
    known: &[&str],
    problems: &mut Problems,
) -> Vec<Word> {
    let mut words = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(list))
    {
        let parsed = attribute.parse_args_with(Punctuated::<Word, Token![,]>::parse_terminated);
        let Some(parsed) = problems.take(parsed) else {
            continue;
        };
        for word in parsed {
            let name = word.name.to_string();
            if known.contains(&name.as_str()) {
                words.push(word);
            } else {
                let hint = match nearest(&name, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("known words are {}", list_of(known)),
                };
                problems.at(
                    &word.name,
                    format!("unknown word `{name}` in `{list}`; {hint}"),
                );
            }
        }
    }
    words
}

fn list_of(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Word {
    /// The value, which this word must have.
    pub(crate) fn expr(&self, problems: &mut Problems) -> Option<Expr> {
        if self.value.is_none() {
            let name = &self.name;
            problems.at(name, format!("`{name}` needs a value: `{name} = ...`"));
        }
        self.value.clone()
    }

    /// The value, which must be a string literal.
    pub(crate) fn string(&self, problems: &mut Problems) -> Option<String> {
        match self.expr(problems)? {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            other => {
                problems.at(other, format!("`{}` needs a string in quotes", self.name));
                None
            }
        }
    }

    /// True: the word stands alone.
    pub(crate) fn flag(&self, problems: &mut Problems) -> bool {
        if let Some(value) = &self.value {
            problems.at(
                value,
                format!("`{}` stands alone, without a value", self.name),
            );
        }
        true
    }
}

/// The doc comment as Markdown, without the space that follows `///`.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
    {
        if let Meta::NameValue(pair) = &attribute.meta
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &pair.value
        {
            let text = text.value();
            lines.extend(
                text.lines()
                    .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()),
            );
            if text.is_empty() {
                lines.push(String::new());
            }
        }
    }
    lines.join("\n").trim().to_owned()
}

/// The note of Rust's own `#[deprecated]`.
pub(crate) fn deprecation(attributes: &[Attribute], problems: &mut Problems) -> Option<String> {
    let attribute = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("deprecated"))?;
    let note = match &attribute.meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        Meta::List(list) => list
            .parse_args_with(Punctuated::<Word, Token![,]>::parse_terminated)
            .ok()
            .and_then(|words| words.into_iter().find(|word| word.name == "note"))
            .and_then(|word| word.string(problems)),
        Meta::Path(_) => None,
    };
    if note.is_none() {
        problems.at(
            attribute,
            "say what to use instead: `#[deprecated(note = \"...\")]`",
        );
    }
    note
}
