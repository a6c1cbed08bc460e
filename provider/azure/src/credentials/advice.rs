//! What to do when signing in fails.

use super::Credential;

/// Codes of Entra (learn.microsoft.com/entra/identity-platform/reference-error-codes) and what to
/// do about each.
const CODES: [(&str, &str); 10] = [
    (
        "AADSTS7000215",
        "the client secret is wrong: set ARM_CLIENT_SECRET to the secret's value, not to its id",
    ),
    (
        "AADSTS7000222",
        "the client secret has expired: make a new one with `az ad app credential reset`",
    ),
    (
        "AADSTS700016",
        "the tenant does not know the application: check ARM_CLIENT_ID, and tenant_id or \
         ARM_TENANT_ID",
    ),
    (
        "AADSTS90002",
        "there is no such tenant in this Azure cloud: check tenant_id or ARM_TENANT_ID, and \
         azure.environment",
    ),
    (
        "AADSTS700024",
        "the assertion is out of date: use ARM_OIDC_TOKEN_FILE_PATH or the CI system's own issuer \
         (ARM_OIDC_REQUEST_URL), which are asked again each time, instead of ARM_OIDC_TOKEN",
    ),
    (
        "AADSTS700213",
        "the application trusts no such subject: add a federated credential with the issuer, \
         subject and audience of the assertion (`az ad app federated-credential create`)",
    ),
    (
        "AADSTS700211",
        "the application trusts no such issuer: add a federated credential with the issuer, \
         subject and audience of the assertion (`az ad app federated-credential create`)",
    ),
    (
        "AADSTS700212",
        "the assertion is for somebody else: its audience has to be api://AzureADTokenExchange",
    ),
    (
        "AADSTS50013",
        "the issuer's keys do not match the assertion's signature: check that the issuer's \
         discovery document and keys can be reached from the internet",
    ),
    (
        "AADSTS50027",
        "the assertion is no token: check what writes it",
    ),
];

/// What to do after `credential` failed with `message`.
pub(super) fn advice(credential: &Credential, message: &str) -> Option<&'static str> {
    let code = message
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .find(|word| word.starts_with("AADSTS"));
    let known = CODES.iter().find(|(it, _)| Some(*it) == code);
    if let Some((_, what)) = known {
        return Some(what);
    }
    match credential {
        Credential::ManagedIdentity(_) => Some(
            "assign the identity to this machine, name it in ARM_CLIENT_ID if there are several, \
             or unset ARM_USE_MSI",
        ),
        _ => None,
    }
}
