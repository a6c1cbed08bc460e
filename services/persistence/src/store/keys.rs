//! Merchants and their API keys, for a person who gives keys out and takes them back.

use paymesh_contracts::{KeyId, Scope, TenantId};
use tokio_postgres::Row;

use super::{Failure, Reader, ms};

/// The id of a key: a digest of its hash, so that every key has one, whichever version made it, and
/// nobody who names a key has to see what it is found by.
macro_rules! key_id {
    () => {
        "encode(substr(sha256(hash), 1, 16), 'hex')::uuid"
    };
}

const MERCHANTS: &str = concat!(
    "select id, name, ",
    ms!("created_at"),
    " from tenant order by created_at, id"
);

const KEYS: &str = concat!(
    "select ",
    key_id!(),
    ", scopes, ",
    ms!("created_at"),
    ", ",
    ms!("revoked_at"),
    " from api_key where tenant_id = $1 order by created_at, 1"
);

const ADD_KEY: &str = concat!(
    "insert into api_key (hash, tenant_id, scopes)
    select $2::bytea, id, $3::text[] from tenant where id = $1
    returning ",
    key_id!()
);

const REVOKE_KEY: &str = concat!(
    "update api_key set revoked_at = clock_timestamp() where ",
    key_id!(),
    " = $1 and revoked_at is null returning 1"
);

/// A merchant.
#[derive(Clone, Debug)]
pub struct KnownMerchant {
    /// Its id.
    pub tenant_id: TenantId,
    /// How people call it.
    pub name: String,
    /// Since when it is one.
    pub created_at_ms: i64,
}

/// An API key, without the key.
#[derive(Clone, Debug)]
pub struct KnownKey {
    /// What names it.
    pub id: KeyId,
    /// What it may do, in the words of the table: some may be of a later version.
    pub scopes: Vec<String>,
    /// Since when there is such a key.
    pub created_at_ms: i64,
    /// Since when it is taken back, if it is.
    pub revoked_at_ms: Option<i64>,
}

impl Reader {
    /// Every merchant, the oldest first.
    pub async fn merchants(&self) -> Result<Vec<KnownMerchant>, Failure> {
        let rows = self.query(MERCHANTS, &[]).await?;
        let merchants = rows.iter().map(|row| KnownMerchant {
            tenant_id: TenantId(row.get(0)),
            name: row.get(1),
            created_at_ms: row.get(2),
        });
        Ok(merchants.collect())
    }

    /// Every key that a merchant has or had, the oldest first; none, if there is no such merchant.
    pub async fn keys(&self, tenant_id: TenantId) -> Result<Vec<KnownKey>, Failure> {
        let rows = self.query(KEYS, &[&tenant_id.0]).await?;
        let key = |row: &Row| KnownKey {
            id: KeyId(row.get(0)),
            scopes: row.get(1),
            created_at_ms: row.get(2),
            revoked_at_ms: row.get(3),
        };
        Ok(rows.iter().map(key).collect())
    }

    /// Keeps a key by its keyed hash; gives what names it, `None` if there is no such merchant.
    pub(crate) async fn add_key(
        &self,
        tenant_id: TenantId,
        keyed_hash: &[u8],
        scopes: &[Scope],
    ) -> Result<Option<KeyId>, Failure> {
        let scopes: Vec<&str> = scopes.iter().copied().map(Scope::word).collect();
        let rows = self
            .query(ADD_KEY, &[&tenant_id.0, &keyed_hash, &scopes])
            .await?;
        Ok(rows.first().map(|row| KeyId(row.get(0))))
    }

    /// Takes a key back; says whether it was in use.
    pub async fn revoke_key(&self, key_id: KeyId) -> Result<bool, Failure> {
        let rows = self.query(REVOKE_KEY, &[&key_id.0]).await?;
        Ok(!rows.is_empty())
    }
}
