//! Who may call which method of the gRPC protocol. A method without a row here is nobody's.

/// A service with an identity of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The HTTP API.
    PaymentApi,
    /// The one that sends attempts and webhooks.
    PaymentProcessor,
    /// The one that works in the database.
    DbController,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PaymentApi, Self::PaymentProcessor, Self::DbController];

    /// How its identity names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentApi => "payment-api",
            Self::PaymentProcessor => "payment-processor",
            Self::DbController => "db-controller",
        }
    }

    /// The service of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

const API: &[Service] = &[Service::PaymentApi];
const PROCESSOR: &[Service] = &[Service::PaymentProcessor];

/// Every method, as gRPC addresses it, with those who may call it.
pub const CALLERS: &[(&str, &[Service])] = &[
    ("/paymesh.persistence.v1.Payments/Authenticate", API),
    ("/paymesh.persistence.v1.Payments/CreatePayment", API),
    ("/paymesh.persistence.v1.Payments/Act", API),
    ("/paymesh.persistence.v1.Payments/Confirm", API),
    ("/paymesh.persistence.v1.Payments/SettleAnswer", API),
    ("/paymesh.persistence.v1.Payments/ReadPayment", API),
    ("/paymesh.persistence.v1.Payments/ListPayments", API),
    ("/paymesh.persistence.v1.Payments/ReadLedger", API),
    (
        "/paymesh.persistence.v1.Payments/CreateWebhookEndpoint",
        API,
    ),
    ("/paymesh.persistence.v1.Payments/ListWebhookEndpoints", API),
    ("/paymesh.persistence.v1.Payments/RotateWebhookSecret", API),
    (
        "/paymesh.persistence.v1.Payments/RemoveWebhookEndpoint",
        API,
    ),
    ("/paymesh.persistence.v1.Payments/ListEvents", API),
    ("/paymesh.persistence.v1.Payments/ReplayEvent", API),
    ("/paymesh.persistence.v1.Payments/ListDeliveries", API),
    ("/paymesh.persistence.v1.Payments/Changes", API),
    ("/paymesh.persistence.v1.Queue/Pull", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/Claim", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/Recoveries", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/Adopt", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/FinishRecovery", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/ReadNotices", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/HearNotices", PROCESSOR),
    ("/paymesh.persistence.v1.Queue/Complete", PROCESSOR),
];

/// The row of a method: its address and who may call it.
pub fn row(path: &str) -> Option<(&'static str, &'static [Service])> {
    CALLERS.iter().find(|(method, _)| *method == path).copied()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_method_of_the_protocol_has_one_row_and_nothing_else_has_one() {
        let file = "proto/paymesh/persistence/v1/persistence.proto";
        let protocol = protox::compile([file], ["proto"]).unwrap();
        let mut methods = Vec::new();
        for file in &protocol.file {
            for service in &file.service {
                let name = format!("/{}.{}", file.package(), service.name());
                let each = service.method.iter();
                methods.extend(each.map(|method| format!("{name}/{}", method.name())));
            }
        }
        let mut rows: Vec<&str> = CALLERS.iter().map(|(method, _)| *method).collect();
        methods.sort_unstable();
        rows.sort_unstable();
        assert_eq!(rows, methods);
    }

    #[test]
    fn every_method_has_a_caller() {
        assert!(CALLERS.iter().all(|(_, callers)| !callers.is_empty()));
    }

    #[test]
    fn the_page_says_who_may_call_what() {
        let mut page =
            "# Who may call what\n\nEvery gRPC method of db-controller, and the services whose \
            certificate lets them call it.\nEverything else is answered `PERMISSION_DENIED`.\n\n\
            | method | callers |\n|---|---|\n"
                .to_owned();
        for (method, callers) in CALLERS {
            let names: Vec<String> = callers
                .iter()
                .map(|one| format!("`{}`", one.name()))
                .collect();
            let method = method.trim_start_matches('/');
            writeln!(page, "| `{method}` | {} |", names.join(", ")).unwrap();
        }
        expect_test::expect_file!["../callers.md"].assert_eq(&page);
    }
}
