//! The id of an attempt is computed, not drawn.
//!
//! The acquirer charges once per attempt id. A merchant who retries with the same idempotency key
//! after we lost data therefore reaches the acquirer with the id it already knows.

use uuid::Uuid;

use crate::id::{AttemptId, TenantId};

/// The id of attempt `number` of the payment that `idempotency_key` of `tenant` made.
pub fn attempt_id(tenant: TenantId, idempotency_key: &str, number: u32) -> AttemptId {
    // The tenant is the namespace and the number has a fixed length, so no two triples share a name.
    let mut name = number.to_be_bytes().to_vec();
    name.extend_from_slice(idempotency_key.as_bytes());
    AttemptId(Uuid::new_v5(&tenant.0, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_and_number_give_the_same_id_on_every_machine() {
        let tenant = TenantId(Uuid::from_u128(7));
        expect_test::expect!["att_affoimlmdchnfinmkgkdghclklnmiile"]
            .assert_eq(&attempt_id(tenant, "order-1", 1).to_string());
        assert_ne!(
            attempt_id(tenant, "order-1", 1),
            attempt_id(tenant, "order-1", 2)
        );
        let other = TenantId(Uuid::from_u128(8));
        assert_ne!(
            attempt_id(tenant, "order-1", 1),
            attempt_id(other, "order-1", 1)
        );
    }
}
