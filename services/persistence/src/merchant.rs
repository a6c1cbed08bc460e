//! Taking in a merchant: a tenant, its accounts in every currency, and its first API key.

use paymesh_contracts::{Currency, TenantId, digest};
use paymesh_operations::Secret;
use uuid::Uuid;

use crate::{
    ledger::{AccountId, AccountKind},
    store::{Connection, Database, Failure, random_hex},
};

/// A new merchant. The key is shown this once; the database holds a keyed hash of it.
pub struct Merchant {
    /// Its id.
    pub tenant_id: TenantId,
    /// Its API key.
    pub api_key: Secret,
}

/// What an API key may do when its merchant is taken in.
const SCOPES: [&str; 4] = [
    "payments:write",
    "payments:read",
    "ledger:read",
    "webhooks:write",
];

/// Takes a merchant in.
pub async fn add_merchant(
    database: &Database,
    pepper: &Secret,
    name: &str,
    fee_basis_points: i32,
) -> Result<Merchant, Failure> {
    let tenant_id = TenantId(Uuid::now_v7());
    let api_key = format!("sk_{}", random_hex());
    let hash = digest::keyed(
        pepper.expose().as_bytes(),
        &digest::sha256(api_key.as_bytes()),
    );
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
            &[&hash.as_slice(), &tenant_id.0, &SCOPES.as_slice()],
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
    Ok(Merchant {
        tenant_id,
        api_key: Secret::from(api_key),
    })
}
