//! Taking in a merchant: a tenant, its accounts in every currency, and its first API key; and further
//! keys.

use paymesh_contracts::{Currency, KeyId, Scope, TenantId, digest};
use paymesh_operations::Secret;
use uuid::Uuid;

use crate::{
    ledger::{AccountId, AccountKind},
    store::{Connection, Database, Failure, Reader, random_hex},
};

/// A new merchant. The key is shown this once; the database holds a keyed hash of it.
pub struct Merchant {
    /// Its id.
    pub tenant_id: TenantId,
    /// Its API key.
    pub api_key: Secret,
}

/// A new API key, which is shown this once too.
pub struct NewKey {
    /// What names it from now on.
    pub id: KeyId,
    /// The key.
    pub key: Secret,
}

/// What an API key may do when its merchant is taken in: everything. `webhooks:read` is part of
/// `webhooks:write`, and left out because a version before knows only that.
const SCOPES: [Scope; 4] = [
    Scope::PaymentsWrite,
    Scope::PaymentsRead,
    Scope::LedgerRead,
    Scope::WebhooksWrite,
];

/// Takes a merchant in.
pub async fn add_merchant(
    database: &Database,
    pepper: &Secret,
    name: &str,
    fee_basis_points: i32,
) -> Result<Merchant, Failure> {
    let tenant_id = TenantId(Uuid::now_v7());
    let (api_key, hash) = draw_key(pepper);
    let scopes = SCOPES.map(Scope::word);
    let mut client = Connection::open(database).await?.client;
    let transaction = client.transaction().await?;
    transaction
        .execute(
            "insert into tenant (id, name, fee_basis_points) values ($1, $2, $3)",
            &[&tenant_id.0, &name, &fee_basis_points],
        )
        .await?;
    transaction
        .execute(
            "insert into api_key (hash, tenant_id, scopes) values ($1, $2, $3)",
            &[&hash.as_slice(), &tenant_id.0, &scopes.as_slice()],
        )
        .await?;
    for currency in Currency::ALL {
        for kind in AccountKind::ALL {
            let id = AccountId::of(tenant_id, kind, currency).0;
            transaction
                .execute(
                    "insert into account (id, tenant_id, kind, currency) values ($1, $2, $3, $4)",
                    &[&id, &tenant_id.0, &kind.word(), &currency.code()],
                )
                .await?;
            transaction
                .execute(
                    "insert into balance (account_id, currency, floor) values ($1, $2, $3)",
                    &[&id, &currency.code(), &kind.floor_minor()],
                )
                .await?;
        }
    }
    transaction.commit().await?;
    Ok(Merchant { tenant_id, api_key })
}

/// Gives a merchant one more API key; `None` if there is no such merchant.
pub async fn add_key(
    reader: &Reader,
    pepper: &Secret,
    tenant_id: TenantId,
    scopes: &[Scope],
) -> Result<Option<NewKey>, Failure> {
    let (key, hash) = draw_key(pepper);
    let id = reader.add_key(tenant_id, &hash, scopes).await?;
    Ok(id.map(|id| NewKey { id, key }))
}

/// A key that nobody has, and the keyed hash that the database holds of it.
fn draw_key(pepper: &Secret) -> (Secret, [u8; 32]) {
    let key = format!("sk_{}", random_hex());
    let hash = digest::keyed(pepper.expose().as_bytes(), &digest::sha256(key.as_bytes()));
    (key.into(), hash)
}
