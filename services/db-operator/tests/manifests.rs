//! The manifests of the repository are those that the code makes; `UPDATE_EXPECT=1` writes them.

use expect_test::expect_file;
use paymesh_db_operator::manifests::{account, definition};

const TOLD: &str = "# Made from services/db-operator by UPDATE_EXPECT=1 cargo test -p paymesh-db-operator; not edited.\n";

fn yaml(value: &impl serde::Serialize) -> String {
    serde_saphyr::to_string(value).expect("an object of Kubernetes can be written")
}

#[test]
fn the_definition_of_the_resource() {
    expect_file![concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../gitops/payments/db-operator/database-crd.yaml"
    )]
    .assert_eq(&format!("{TOLD}{}", yaml(&definition())));
}

#[test]
fn the_account_and_what_it_may_do() {
    let (account, role, binding) = account();
    let parts = [yaml(&account), yaml(&role), yaml(&binding)];
    expect_file![concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../gitops/payments/db-operator/rbac.yaml"
    )]
    .assert_eq(&format!("{TOLD}{}", parts.join("---\n")));
}
