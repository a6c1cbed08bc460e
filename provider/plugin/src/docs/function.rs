//! The page of a function: how it is called, and what its arguments mean.

use std::io;
use std::path::Path;

use super::examples::usage;
use super::page::Page;
use crate::function::{Parameter, Signature};
use crate::spec::type_name;

pub(super) fn page(provider: &str, examples: &Path, signature: &Signature) -> io::Result<String> {
    let Signature {
        name,
        summary,
        description,
        parameters,
        variadic,
        result,
    } = signature;
    let title = format!("{name} function - {provider}");
    let mut page = Page::new(&title, "", summary)
        .heading(1, &format!("function: {name}"))
        .text(if description.is_empty() {
            summary
        } else {
            description
        });
    let usage = usage(&examples.join("functions").join(name), "function")?;
    if !usage.is_empty() {
        page = page.heading(2, "Example Usage");
    }
    for example in &usage {
        if let Some(title) = &example.title {
            page = page.heading(3, title);
        }
        page = page.code("terraform", &example.text);
    }
    let typed =
        |parameter: &Parameter| format!("{} {}", parameter.name, type_name(&parameter.kind));
    let mut arguments: Vec<_> = parameters.iter().map(typed).collect();
    arguments.extend(
        variadic
            .iter()
            .map(|parameter| format!("{}...", typed(parameter))),
    );
    let call = format!("{name}({}) {}", arguments.join(", "), type_name(result));
    page = page.heading(2, "Signature").code("text", &call);
    let lines: Vec<_> = parameters
        .iter()
        .map(|parameter| (parameter, ""))
        .chain(variadic.iter().map(|parameter| (parameter, ", any number")))
        .enumerate()
        .map(|(index, (parameter, more))| {
            let nullable = if parameter.nullable { ", nullable" } else { "" };
            let kind = type_name(&parameter.kind);
            let description = parameter.description.replace('\n', " ");
            format!(
                "{}. `{}` ({kind}{nullable}{more}) {description}",
                index + 1,
                parameter.name
            )
        })
        .collect();
    if !lines.is_empty() {
        page = page.heading(2, "Arguments").text(&lines.join("\n"));
    }
    Ok(page.finish())
}
