//! The fault catalogue: whatever a cloud answers, a run converges, or ends with one clear error
//! that names the object, the operation and what to do next.
//!
//! Each test is one fault on both clouds. `CATALOGUE.md` beside this file says which test shows
//! which row of the catalogue.

mod bed;

use bed::{Bed, Policy, check_converges, check_converges_on, check_says, check_says_on};
use paymesh_crash::Api;
use serde_json::json;

/// The write that begins a cluster.
const BIRTH: [(&str, &str); 2] = [
    ("PUT", "*/managedclusters/pay-crash"),
    ("POST", "*/locations/europe-west1/clusters"),
];

/// The read of an operation.
const POLL: [(&str, &str); 2] = [("GET", "*/operations/*"), ("GET", "*/operations/*")];

/// The read of the cluster.
const READ: [(&str, &str); 2] = [
    ("GET", "*/managedclusters/pay-crash"),
    ("GET", "*/clusters/pay-crash"),
];

/// The write of an update.
const UPDATE: [(&str, &str); 2] = [
    ("PUT", "*/agentpools/work*"),
    ("POST", "*/nodepools/work*:setautoscaling"),
];

#[test]
fn a_throttled_write_waits_as_long_as_the_cloud_says() {
    let action = json!({ "kind": "throttle", "retry_after": 7 });
    check_converges(BIRTH, 3, "before_effect", &action);
}

#[test]
fn a_throttled_write_without_a_wait_is_sent_again() {
    check_converges(BIRTH, 3, "before_effect", &json!({ "kind": "throttle" }));
}

#[test]
fn a_throttled_poll_is_asked_again() {
    let action = json!({ "kind": "throttle", "retry_after": 2 });
    check_converges(POLL, 3, "before_effect", &action);
}

#[test]
fn a_cluster_that_others_keep_busy_is_waited_for() {
    let azure = json!({ "kind": "answer", "status": 409, "body": {
        "code": "OperationNotAllowed",
        "message": "Operation is not allowed: Another operation (Updating) is in progress.",
    } });
    let google = json!({ "kind": "answer", "status": 400, "body": { "error": {
        "code": 400, "status": "FAILED_PRECONDITION",
        "message": "Operation operation-1 is currently upgrading cluster pay-crash.",
        "errors": [{ "reason": "failedPrecondition" }],
    } } });
    Bed::made(Api::Azure).check_update(UPDATE[0], 2, "before_effect", &azure);
    Bed::made(Api::Google).check_update(UPDATE[1], 2, "before_effect", &google);
}

#[test]
fn what_moved_between_read_and_write_is_read_again() {
    let azure = json!({ "kind": "answer", "status": 412, "body": { "error": {
        "code": "PreconditionFailed", "message": "The etag does not match.",
    } } });
    let google = json!({ "kind": "answer", "status": 409, "body": { "error": {
        "code": 409, "status": "ABORTED", "message": "The etag does not match.",
        "errors": [{ "reason": "aborted" }],
    } } });
    Bed::made(Api::Azure).check_update(UPDATE[0], 1, "before_effect", &azure);
    Bed::made(Api::Google).check_update(UPDATE[1], 1, "before_effect", &google);
}

#[test]
fn a_server_error_before_or_after_the_effect_makes_no_second_cluster() {
    for status in [500, 502, 503] {
        for site in ["before_effect", "after_effect"] {
            let action = json!({ "kind": "answer", "status": status, "garbage": "html" });
            check_converges(BIRTH, 1, site, &action);
        }
    }
}

#[test]
fn a_read_that_fails_is_asked_again() {
    for status in [500, 502, 503] {
        let action = json!({ "kind": "answer", "status": status, "garbage": "empty" });
        check_converges(READ, 2, "before_effect", &action);
    }
}

#[test]
fn a_connection_that_is_reset_makes_no_second_cluster() {
    for site in [
        "before_receipt",
        "before_effect",
        "after_effect",
        "after_answer",
    ] {
        check_converges(BIRTH, 1, site, &json!({ "kind": "cut" }));
        check_converges(POLL, 1, site, &json!({ "kind": "cut" }));
    }
}

#[test]
fn a_body_that_is_cut_off_empty_or_a_gateways_page_is_never_believed() {
    for garbage in ["truncated", "empty", "html"] {
        let action = json!({ "kind": "answer", "garbage": garbage });
        check_converges(READ, 1, "after_effect", &action);
        check_converges(POLL, 1, "after_effect", &action);
        check_converges(BIRTH, 1, "after_effect", &action);
    }
}

#[track_caller]
fn check_failed_operation(api: Api) {
    let action = json!({
        "kind": "operation", "end": "failed", "code": "SkuNotAvailable", "message": "No room in zone 1.",
    });
    let words = ["pay-crash", "No room in zone 1.", "Operation: "];
    check_says_on(api, BIRTH[api as usize], &action, &words);
    let action = json!({ "kind": "operation", "end": "canceled" });
    let words = ["pay-crash", "Operation: "];
    check_says_on(api, BIRTH[api as usize], &action, &words);
}

#[test]
fn an_operation_that_fails_or_was_canceled_is_named_with_the_clouds_reason() {
    check_failed_operation(Api::Azure);
}

#[test]
fn a_creation_that_failed_for_good_is_replaced_as_its_error_says() {
    check_failed_operation(Api::Google);
}

#[test]
fn an_operation_that_never_ends_is_given_up_in_time_and_resumed_later() {
    for api in Api::ALL {
        Bed::empty(api).check_hanging(BIRTH[api as usize]);
    }
}

#[test]
fn an_operation_that_the_cloud_forgot_is_judged_by_its_object() {
    for status in [404, 410] {
        let action = json!({ "kind": "answer", "status": status, "body": { "error": {
            "code": "NotFound", "status": "NOT_FOUND", "message": "No such operation.",
        } } });
        check_converges(POLL, 0, "before_effect", &action);
    }
}

#[test]
fn a_cluster_that_is_not_shown_yet_is_not_made_again() {
    for times in [1, 3] {
        check_converges(READ, times, "before_effect", &json!({ "kind": "stale" }));
    }
}

#[test]
fn roles_that_a_policy_does_not_show_any_more_are_taken_back_by_a_destroy() {
    let policy = Policy::of_a_cluster();
    // The refresh, the first look of the destroy, the look before its write, and the read that
    // belongs to the write: that one is not doubted, but refused as long as it is of the past.
    for (nth, times) in [(1, 2), (2, 2), (3, 2), (4, 4)] {
        policy.check_not_shown(nth, times);
    }
}

#[test]
fn a_policy_that_still_shows_roles_that_were_taken_back_takes_no_binding_of_others() {
    let policy = Policy::of_a_cluster();
    for is_outrun in [false, true] {
        policy.check_still_shown(is_outrun);
    }
}

#[test]
fn a_token_that_expires_in_the_middle_is_renewed() {
    check_converges(
        BIRTH,
        1,
        "before_effect",
        &json!({ "kind": "expire_tokens" }),
    );
    check_converges(
        POLL,
        1,
        "before_effect",
        &json!({ "kind": "expire_tokens" }),
    );
}

#[test]
fn a_role_that_does_not_work_yet_is_waited_for() {
    let azure = json!({ "kind": "answer", "status": 403, "body": { "error": {
        "code": "LinkedAuthorizationFailed",
        "message": "The identity has no permission on the linked scope yet.",
    } } });
    let google = json!({ "kind": "answer", "status": 400, "body": { "error": {
        "code": 400, "status": "INVALID_ARGUMENT",
        "message": "Service account pm-pay-crash@paymesh-hub.iam.gserviceaccount.com does not exist.",
    } } });
    check_converges_on(Api::Azure, BIRTH[0], 2, "before_effect", &azure);
    check_converges_on(
        Api::Google,
        ("POST", "*:setiampolicy"),
        2,
        "before_effect",
        &google,
    );
}

#[test]
fn a_run_that_may_not_write_says_which_role_it_needs() {
    let body = json!({ "error": {
        "code": "AuthorizationFailed", "status": "PERMISSION_DENIED", "message": "Permission denied.",
    } });
    let action = json!({ "kind": "answer", "status": 403, "body": body });
    check_says(
        BIRTH,
        &action,
        &[
            "pay-crash",
            "Give the identity that runs Terraform the role",
        ],
    );
}

#[test]
fn quota_that_ran_out_is_named_with_the_way_to_more() {
    let body = json!({ "error": {
        "code": "QuotaExceeded", "status": "RESOURCE_EXHAUSTED", "message": "Insufficient quota.",
    } });
    let action = json!({ "kind": "answer", "status": 403, "body": body });
    check_says(BIRTH, &action, &["pay-crash", "quota"]);
}

#[test]
fn a_pool_that_the_service_works_on_is_asked_to_empty_itself_when_it_rests() {
    Bed::made(Api::Azure).check_busy_drain();
}
