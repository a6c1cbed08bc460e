//! A struct of attributes: from what is written to what is proven.

use crate::object_emit;
use crate::problems::Problems;
use crate::raw;
use proc_macro2::{Ident, TokenStream};
use std::collections::BTreeMap;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Expr, Fields, GenericArgument, PathArguments, Type, Visibility};

/// Where the fields of a struct stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Spec,
    Status,
    Attributes,
}

/// A proven declaration.
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) description: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) groups: Vec<Group>,
    pub(crate) rules: Vec<Expr>,
    pub(crate) root: Option<Root>,
}

/// What only the root of a Spec says.
pub(crate) struct Root {
    pub(crate) name: String,
    pub(crate) version: Expr,
    pub(crate) status: Option<Expr>,
    pub(crate) deprecated: Option<String>,
}

/// One attribute.
#[allow(
    clippy::struct_excessive_bools,
    reason = "one flag for each word that stands alone"
)]
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) description: String,
    pub(crate) deprecated: Option<String>,
    pub(crate) default: Option<Expr>,
    pub(crate) checks: Vec<Expr>,
    pub(crate) replace: bool,
    pub(crate) rolling: bool,
    pub(crate) identity: bool,
    pub(crate) since: Option<String>,
}

/// Attributes of which one, or at most one, is set.
pub(crate) struct Group {
    pub(crate) exactly_one: bool,
    pub(crate) fields: Vec<Ident>,
}

const FIELD_WORDS: &[&str] = &[
    "default",
    "check",
    "replace",
    "rolling",
    "one_of",
    "at_most_one",
    "identity",
    "since",
];

pub(crate) fn expand(input: &DeriveInput, kind: Kind) -> TokenStream {
    let mut problems = Problems::default();
    let object = prove(input, kind, &mut problems);
    match (object, problems.into_compile_errors()) {
        (Some(object), None) => object_emit::emit(&object),
        (_, errors) => errors.unwrap_or_default(),
    }
}

fn prove(input: &DeriveInput, kind: Kind, problems: &mut Problems) -> Option<Object> {
    let description = raw::docs(&input.attrs);
    if description.is_empty() {
        problems.at(
            &input.ident,
            "add a doc comment: it is the description users read",
        );
    }
    if !input.generics.params.is_empty() {
        problems.at(
            &input.generics,
            "an object of attributes has no type parameters",
        );
    }
    let (root, rules) = prove_root(input, kind, problems);
    let Data::Struct(data) = &input.data else {
        problems.at(
            &input.ident,
            "only a struct has attributes; derive `Choice` for an enum",
        );
        return None;
    };
    let Fields::Named(named) = &data.fields else {
        problems.at(
            &input.ident,
            "attributes need names: use a struct with named fields",
        );
        return None;
    };
    let mut groups: BTreeMap<(String, bool), Vec<Ident>> = BTreeMap::new();
    let fields: Vec<Field> = named
        .named
        .iter()
        .filter_map(|field| prove_field(field, kind, &mut groups, problems))
        .collect();
    for ((name, _), members) in &groups {
        if let [only] = members.as_slice() {
            problems.at(
                only,
                format!("group \"{name}\" has one member; a choice needs two"),
            );
        }
    }
    check_secret_versions(&fields, problems);
    let groups = groups
        .into_iter()
        .map(|((_, exactly_one), fields)| Group {
            exactly_one,
            fields,
        })
        .collect();
    Some(Object {
        kind,
        ident: input.ident.clone(),
        visibility: input.vis.clone(),
        description,
        fields,
        groups,
        rules,
        root,
    })
}

fn prove_root(
    input: &DeriveInput,
    kind: Kind,
    problems: &mut Problems,
) -> (Option<Root>, Vec<Expr>) {
    let (list, known): (&str, &[&str]) = match kind {
        Kind::Spec => ("spec", &["name", "version", "status", "rule"]),
        Kind::Attributes => ("attributes", &["rule"]),
        Kind::Status => return (None, Vec::new()),
    };
    let mut rules = Vec::new();
    let (mut name, mut version, mut status) = (None, None, None);
    for word in raw::words(&input.attrs, list, known, problems) {
        match word.name.to_string().as_str() {
            "name" => name = word.string(problems),
            "version" => version = word.expr(problems),
            "status" => status = word.expr(problems),
            _ => rules.extend(word.expr(problems)),
        }
    }
    if kind != Kind::Spec {
        return (None, rules);
    }
    let Some(name) = name else {
        problems.at(
            &input.ident,
            "name the Terraform type: `#[spec(name = \"paymesh_...\")]`",
        );
        return (None, rules);
    };
    let version = version.unwrap_or_else(|| syn::parse_quote!(0));
    let deprecated = raw::deprecation(&input.attrs, problems);
    (
        Some(Root {
            name,
            version,
            status,
            deprecated,
        }),
        rules,
    )
}

fn prove_field(
    field: &syn::Field,
    kind: Kind,
    groups: &mut BTreeMap<(String, bool), Vec<Ident>>,
    problems: &mut Problems,
) -> Option<Field> {
    let ident = field.ident.clone()?;
    let name = ident.unraw().to_string();
    let description = raw::docs(&field.attrs);
    if description.is_empty() {
        problems.at(
            &ident,
            format!("`{name}` needs a doc comment: it is what users read"),
        );
    }
    check_name(&ident, &name, kind, problems);
    if option_of(&field.ty).and_then(option_of).is_some() {
        problems.at(&field.ty, "a value is null or not: one `Option` is enough");
    }
    let mut proven = Field {
        visibility: field.vis.clone(),
        ty: field.ty.clone(),
        deprecated: raw::deprecation(&field.attrs, problems),
        default: None,
        checks: Vec::new(),
        replace: false,
        rolling: false,
        identity: false,
        since: None,
        description,
        name,
        ident,
    };
    for word in raw::words(&field.attrs, "attr", FIELD_WORDS, problems) {
        let text = word.name.to_string();
        if let Some(reason) = misplaced(&text, kind) {
            problems.at(&word.name, reason);
            continue;
        }
        match text.as_str() {
            "default" => proven.default = word.expr(problems),
            "check" => proven.checks.extend(word.expr(problems)),
            "replace" => proven.replace = word.flag(problems),
            "rolling" => proven.rolling = word.flag(problems),
            "identity" => proven.identity = word.flag(problems),
            "since" => proven.since = word.string(problems),
            group => {
                if option_of(&field.ty).is_none() {
                    problems.at(
                        &field.ty,
                        format!("`{group}` needs `Option<...>`: it may be left out"),
                    );
                }
                if let Some(name) = word.string(problems) {
                    let members = groups.entry((name, group == "one_of")).or_default();
                    members.push(proven.ident.clone());
                }
            }
        }
    }
    if proven.replace && proven.rolling {
        problems.at(
            &proven.ident,
            "a change either makes a new object or is rolled out inside it",
        );
    }
    if proven.default.is_some() && option_of(&field.ty).is_some() {
        problems.at(
            &field.ty,
            "an attribute with a default is never null: write `T` instead of `Option<T>`",
        );
    }
    if proven.default.is_some() && secret_of(&field.ty).is_some() {
        problems.at(&field.ty, "a `Secret` has no default: it would be public");
    }
    if kind == Kind::Status && secret_of(&field.ty).is_some() {
        problems.at(
            &field.ty,
            "a `Secret` cannot be in a Status: state must never hold it; offer an ephemeral resource",
        );
    }
    Some(proven)
}

/// Names that mean something else to Terraform at the root of a block.
const RESERVED: &[&str] = &[
    "alias",
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "provider",
    "provisioner",
    "version",
];

fn check_name(ident: &Ident, name: &str, kind: Kind, problems: &mut Problems) {
    let is_plain = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.chars().all(is_plain) {
        problems.at(
            ident,
            format!("`{name}` is no name of an attribute: use `a-z`, `0-9` and `_`"),
        );
    }
    if kind != Kind::Attributes && RESERVED.contains(&name) {
        problems.at(
            ident,
            format!("Terraform reserves the name `{name}` at this place"),
        );
    }
}

/// Why a word has no meaning in this place.
fn misplaced(word: &str, kind: Kind) -> Option<String> {
    let in_status = matches!(
        word,
        "default" | "check" | "replace" | "rolling" | "one_of" | "at_most_one"
    );
    match kind {
        Kind::Status if in_status => Some(format!(
            "`{word}` belongs in a Spec: a Status is what the cloud reports"
        )),
        Kind::Attributes if word == "identity" => {
            Some("`identity` belongs at the root of a Spec or Status".to_owned())
        }
        _ => None,
    }
}

fn check_secret_versions(fields: &[Field], problems: &mut Problems) {
    for field in fields.iter().filter(|field| secret_of(&field.ty).is_some()) {
        let wanted = format!("{}_version", field.name);
        let Some(version) = fields.iter().find(|field| field.name == wanted) else {
            problems.at(
                &field.ident,
                format!(
                    "a write-only value is never compared, so `{}` needs a sibling `{wanted}` \
                     whose change sends it again",
                    field.name
                ),
            );
            continue;
        };
        if option_of(&field.ty).is_some() != option_of(&version.ty).is_some() {
            problems.at(
                &version.ty,
                format!(
                    "`{wanted}` must be `Option` exactly when `{}` is",
                    field.name
                ),
            );
        }
    }
}

/// The `T` of `Option<T>`.
pub(crate) fn option_of(ty: &Type) -> Option<&Type> {
    argument_of(ty, "Option")
}

/// The `T` of `Secret<T>` or `Option<Secret<T>>`.
fn secret_of(ty: &Type) -> Option<&Type> {
    argument_of(option_of(ty).unwrap_or(ty), "Secret")
}

fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}
