//! The code of a proven object: its draft, its shape, its way from a value and back.

use crate::object::{Field, Kind, Object, option_of};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

pub(crate) fn emit(object: &Object) -> TokenStream {
    let draft = format_ident!("{}Draft", object.ident);
    let draft_struct = emit_draft_struct(object, &draft);
    let attribute = emit_attribute(object, &draft);
    let names = object.fields.iter().map(|field| &field.name);
    let ident = &object.ident;
    let role = emit_role(object);
    quote! {
        #draft_struct
        #attribute
        #[automatically_derived]
        impl ::paymesh_plugin::spec::Attributes for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];
        }
        #role
    }
}

fn emit_draft_struct(object: &Object, draft: &Ident) -> TokenStream {
    let (visibility, ident) = (&object.visibility, &object.ident);
    let docs = format!("A [`{ident}`] of which each field is known, null or unknown.");
    let fields = object.fields.iter().map(|field| {
        let Field {
            ident,
            visibility,
            description,
            ty,
            ..
        } = field;
        quote! {
            #[doc = #description]
            #visibility #ident: ::paymesh_plugin::spec::Field<
                <#ty as ::paymesh_plugin::spec::Attribute>::Draft
            >
        }
    });
    let idents: Vec<_> = object.fields.iter().map(|field| &field.ident).collect();
    quote! {
        #[doc = #docs]
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::derive_partial_eq_without_eq, clippy::struct_field_names)]
        #visibility struct #draft { #(#fields,)* }

        #[automatically_derived]
        impl ::paymesh_plugin::spec::DraftObject for #draft {
            fn null() -> Self {
                Self { #(#idents: ::paymesh_plugin::spec::Field::Null,)* }
            }
            fn unknown() -> Self {
                Self { #(#idents: ::paymesh_plugin::spec::Field::Unknown,)* }
            }
        }
    }
}

fn emit_attribute(object: &Object, draft: &Ident) -> TokenStream {
    let ident = &object.ident;
    let types: Vec<_> = object.fields.iter().map(|field| &field.ty).collect();
    let fields: Vec<_> = object.fields.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = object.fields.iter().map(|field| &field.name).collect();
    let locals: Vec<_> = object
        .fields
        .iter()
        .map(|field| format_ident!("of_{}", field.name))
        .collect();
    let description = &object.description;
    let shapes = object.fields.iter().map(|field| emit_shape(object, field));
    let groups = object.groups.iter().map(|group| {
        let exactly_one = group.exactly_one;
        let members = group.fields.iter().map(|field| name_of(object, field));
        quote!(::paymesh_plugin::spec::Group {
            exactly_one: #exactly_one,
            names: ::std::vec![#(#members),*],
        })
    });
    let reads = object.fields.iter().map(emit_read);
    let group_rules = object.groups.iter().map(|group| {
        let exactly_one = group.exactly_one;
        let (members, idents) = (
            group.fields.iter().map(|field| name_of(object, field)),
            group.fields.iter(),
        );
        quote!(reader.choose(#exactly_one, &[#((#members, draft.#idents.presence())),*]);)
    });
    let rules = &object.rules;
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::paymesh_plugin::spec::Attribute for #ident {
            type Draft = #draft;

            const SECRET: bool =
                false #(|| <#types as ::paymesh_plugin::spec::Attribute>::SECRET)*;

            fn shape() -> ::paymesh_plugin::spec::Shape {
                ::paymesh_plugin::spec::Shape::Object(::paymesh_plugin::spec::ObjectShape {
                    description: ::std::string::String::from(#description),
                    attributes: ::std::vec![#(#shapes),*],
                    groups: ::std::vec![#(#groups),*],
                })
            }

            fn draft(
                value: &::paymesh_plugin::value::Value,
                reader: &mut ::paymesh_plugin::spec::Reader<'_>,
            ) -> ::paymesh_plugin::spec::Field<Self::Draft> {
                reader.object(value, |object, reader| {
                    let draft = #draft { #(#fields: #reads,)* };
                    #(#group_rules)*
                    #(reader.rule(&draft, #rules);)*
                    draft
                })
            }

            fn complete(
                draft: ::paymesh_plugin::spec::Field<Self::Draft>,
                reader: &mut ::paymesh_plugin::spec::Reader<'_>,
            ) -> ::std::option::Option<Self> {
                let draft = reader.present(draft)?;
                #(
                    let #locals = reader.inside(#names, |reader| {
                        <#types as ::paymesh_plugin::spec::Attribute>::complete(draft.#fields, reader)
                    });
                )*
                ::std::option::Option::Some(Self { #(#fields: #locals?,)* })
            }

            fn into_draft(self) -> ::paymesh_plugin::spec::Field<Self::Draft> {
                ::paymesh_plugin::spec::Field::Known(#draft {
                    #(#fields: <#types as ::paymesh_plugin::spec::Attribute>::into_draft(self.#fields),)*
                })
            }

            fn value(
                draft: &::paymesh_plugin::spec::Field<Self::Draft>,
            ) -> ::paymesh_plugin::value::Value {
                draft.to_value(|draft| ::paymesh_plugin::spec::object_value([
                    #((#names, <#types as ::paymesh_plugin::spec::Attribute>::value(&draft.#fields)),)*
                ]))
            }
        }
    }
}

fn name_of<'a>(object: &'a Object, ident: &Ident) -> &'a str {
    let field = object.fields.iter().find(|field| field.ident == *ident);
    &field.expect("a group lists fields of its object").name
}

/// The checks of a field, as values that can describe themselves and test.
fn emit_checks(field: &Field) -> TokenStream {
    let ty = &field.ty;
    let checks = field
        .checks
        .iter()
        .map(|check| quote_spanned!(check.span()=> &#check));
    quote! {
        #[allow(unused_imports)]
        use ::paymesh_plugin::spec::checks::*;
        let checks: &[&dyn ::paymesh_plugin::spec::Check<
            <#ty as ::paymesh_plugin::spec::Attribute>::Draft
        >] = &[#(#checks),*];
    }
}

fn emit_shape(object: &Object, field: &Field) -> TokenStream {
    let Field {
        name,
        ty,
        description,
        replace,
        rolling,
        identity,
        ..
    } = field;
    let presence = match (&field.default, object.kind) {
        (_, Kind::Status) => quote!(::paymesh_plugin::spec::Presence::Reported),
        (Some(default), _) => {
            let default = emit_default(default, field);
            quote!(::paymesh_plugin::spec::Presence::Default({
                let default: #ty = #default;
                ::paymesh_plugin::spec::Attribute::encode(&default)
            }))
        }
        (None, _) if option_of(ty).is_some() => quote!(::paymesh_plugin::spec::Presence::Optional),
        (None, _) => quote!(::paymesh_plugin::spec::Presence::Required),
    };
    let since = emit_option(field.since.as_ref());
    let deprecated = emit_option(field.deprecated.as_ref());
    let checks = emit_checks(field);
    quote!({
        #checks
        ::paymesh_plugin::spec::AttributeShape {
            name: #name,
            description: ::std::string::String::from(#description),
            presence: #presence,
            shape: <#ty as ::paymesh_plugin::spec::Attribute>::shape(),
            checks: checks.iter().map(|check| check.describe()).collect(),
            replaces: #replace,
            rolling: #rolling,
            write_only: <#ty as ::paymesh_plugin::spec::Attribute>::WRITE_ONLY,
            sensitive: <#ty as ::paymesh_plugin::spec::Attribute>::SENSITIVE,
            identity: #identity,
            since: #since,
            deprecated: #deprecated,
        }
    })
}

/// A default may be written as a plain string or number literal of another type: it is converted.
fn emit_default(default: &Expr, field: &Field) -> TokenStream {
    let is_string = matches!(
        default,
        Expr::Lit(literal) if matches!(literal.lit, syn::Lit::Str(_))
    );
    if is_string {
        let (name, ty) = (&field.name, &field.ty);
        let message = format!("the default of `{name}` is a valid value");
        quote!(<#ty as ::std::str::FromStr>::from_str(#default).expect(#message))
    } else {
        quote!(#default)
    }
}

fn emit_option(text: Option<&String>) -> TokenStream {
    if let Some(text) = text {
        quote!(::std::option::Option::Some(#text))
    } else {
        quote!(::std::option::Option::None)
    }
}

fn emit_read(field: &Field) -> TokenStream {
    let Field { name, ty, .. } = field;
    let checks = emit_checks(field);
    let read = if let Some(default) = &field.default {
        let default = emit_default(default, field);
        quote!(reader.read_or::<#ty>(object, #name, checks, || #default))
    } else {
        quote!(reader.read::<#ty>(object, #name, checks))
    };
    quote!({ #checks #read })
}

fn emit_role(object: &Object) -> TokenStream {
    let ident = &object.ident;
    match (object.kind, &object.root) {
        (Kind::Status, _) => quote! {
            const _: () = assert!(
                !<#ident as ::paymesh_plugin::spec::Attribute>::SECRET,
                "a Secret cannot be in a Status, also not nested: state must never hold it",
            );
            #[automatically_derived]
            impl ::paymesh_plugin::spec::Status for #ident {}
        },
        (_, Some(root)) => {
            let (name, version) = (&root.name, &root.version);
            let deprecated = emit_option(root.deprecated.as_ref());
            let status = if let Some(status) = &root.status {
                quote!(#status)
            } else {
                quote!(::paymesh_plugin::spec::NoStatus)
            };
            let disjoint = object.fields.iter().map(|field| {
                let name = &field.name;
                let message = format!(
                    "`{name}` is both in the Spec and in its Status: \
                     call what the cloud reports `running_{name}`"
                );
                quote_spanned! {field.ident.span()=>
                    const _: () = assert!(
                        !::paymesh_plugin::spec::contains(
                            <#status as ::paymesh_plugin::spec::Attributes>::NAMES, #name
                        ),
                        #message
                    );
                }
            });
            quote! {
                #(#disjoint)*
                #[automatically_derived]
                impl ::paymesh_plugin::spec::Spec for #ident {
                    type Status = #status;
                    const NAME: &'static str = #name;
                    const VERSION: u64 = #version;
                    const DEPRECATED: ::std::option::Option<&'static str> = #deprecated;
                }
            }
        }
        _ => TokenStream::new(),
    }
}
