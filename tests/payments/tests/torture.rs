//! The small form of `make payments-torture`: 2,000 payments, each kind of fault once.

use paymesh_payments::{
    Bus,
    shop::folder,
    torture::{Kind, Plan, run},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_payments_survive_each_kind_of_fault() {
    let folder = folder();
    let kinds = Kind::of(Bus::Embedded).len();
    let plan = Plan {
        payments: 2_000,
        faults: kinds,
        rate: 25.0,
        seed: 1,
        bus: Bus::Embedded,
        defect: None,
    };
    let verdict = run(folder.path(), plan).await.unwrap();
    assert!(verdict.failures.is_empty(), "{:#?}", verdict.failures);
    assert_eq!(verdict.faults.len(), kinds);
    assert!(verdict.report.payments >= 2_000);
}
