//! db-controller, as far as payment-api can tell: it takes what the real one takes, and answers what
//! that answers or something near it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use paymesh_contracts::{
    PaymentId, TenantId,
    persistence::{self as wire, keyed_reply::Outcome, payments_server::Payments},
};
use paymesh_fuzz::{Choices, message};
use paymesh_persistence::serve::request::{read_act, read_create, read_side};
use prost::Message;
use tonic::{Code, Request, Response, Status, codegen::BoxStream};

use crate::samples;

/// What keys may do; every eighth key may only read.
const SCOPES: [&str; 5] = [
    "payments:read",
    "ledger:read",
    "webhooks:read",
    "payments:write",
    "webhooks:write",
];

/// What it says when it does not answer. After `Unavailable` and `Unknown` payment-api would wait and
/// ask again.
const REFUSALS: [Code; 8] = [
    Code::NotFound,
    Code::ResourceExhausted,
    Code::InvalidArgument,
    Code::Internal,
    Code::DeadlineExceeded,
    Code::Cancelled,
    Code::PermissionDenied,
    Code::DataLoss,
];

/// What it is told and what it answers.
#[derive(Default)]
pub(crate) struct Controller {
    /// By what its answers differ from those of the real one; without it, by nothing.
    input: Mutex<Option<Vec<u8>>>,
    /// How often it was asked for anything but whose a key is.
    asked: AtomicUsize,
    /// What the real one would not have taken.
    refused: Mutex<Option<String>>,
    /// The status and the body of the last answer that it gave as kept.
    kept: Mutex<Option<(u32, Vec<u8>)>>,
}

type Answered<M> = Result<Response<M>, Status>;

impl Controller {
    /// Answers as the real one does, or as the input says.
    pub(crate) fn follow(&self, input: Option<&[u8]>) {
        let mut left = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        *left = input.map(<[u8]>::to_vec);
        self.keep(None);
    }

    /// How often it was asked for anything but whose a key is.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// What the real one would not have taken, if there was such a thing since this was asked last.
    pub(crate) fn refused(&self) -> Option<String> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.take()
    }

    /// The status and the body of the last answer that it gave as kept, if it gave one since this was
    /// asked last.
    pub(crate) fn kept(&self) -> Option<(u32, Vec<u8>)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take()
    }

    fn keep(&self, answer: Option<&wire::Answer>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = answer.map(|answer| (answer.status, answer.body.clone()));
    }

    fn answer_keyed(&self, payment_id: Vec<u8>) -> Answered<wire::KeyedReply> {
        let reply = self.answer(Self::keyed(payment_id))?;
        self.keep(reply.get_ref().answer.as_ref());
        Ok(reply)
    }

    /// Notes what the real one makes of a request, and whether PostgreSQL can keep its texts.
    fn take<T>(&self, read: Result<T, Status>, texts: &[&str]) -> Result<T, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let has_nul = texts.iter().any(|text| text.contains('\0'));
        let kept = if has_nul {
            Err(Status::invalid_argument("a text has a NUL"))
        } else {
            read
        };
        if let Err(status) = &kept {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some(status.message().to_owned());
        }
        kept
    }

    fn take_ids(&self, tenant_id: &[u8], payment_id: &[u8]) -> Result<(), Status> {
        let none = |_| Status::invalid_argument("an id is not 16 bytes");
        let tenant = TenantId::from_bytes(tenant_id).map_err(none);
        let both = tenant.and_then(|_| PaymentId::from_bytes(payment_id).map_err(none));
        self.take(both.map(drop), &[])
    }

    fn answer<M: Message + Default>(&self, sample: M) -> Answered<M> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = &mut *input else {
            return Ok(Response::new(sample));
        };
        let taken = std::mem::take(left);
        let mut choices = Choices::new(&taken);
        let answer = if choices.is_one_in(8) {
            let code = *choices.one_of(&REFUSALS);
            Err(Status::new(code, "it says so"))
        } else {
            let near = message(&mut choices, &sample.encode_to_vec());
            Ok(M::decode(near.as_slice()).unwrap_or(sample))
        };
        *left = choices.rest().to_vec();
        answer.map(Response::new)
    }

    fn endpoint() -> wire::WebhookEndpoint {
        wire::WebhookEndpoint {
            endpoint_id: vec![11; 16],
            url: "https://shop.example/paymesh".to_owned(),
            secret: "whsec_1".to_owned(),
            rotating_until_ms: 1_763_740_800_000,
        }
    }

    fn kept_answer() -> wire::Answer {
        wire::Answer {
            status: 201,
            body: samples::payment().to_string().into_bytes(),
        }
    }

    fn keyed(payment_id: Vec<u8>) -> wire::KeyedReply {
        wire::KeyedReply {
            outcome: Outcome::Created.into(),
            payment_id,
            answer: Some(Self::kept_answer()),
        }
    }
}

#[tonic::async_trait]
impl Payments for Controller {
    type ChangesStream = BoxStream<wire::Change>;

    async fn authenticate(
        &self,
        request: Request<wire::AuthenticateRequest>,
    ) -> Answered<wire::Tenant> {
        let digest = request.into_inner().key_digest;
        let may_only_read = digest.first().is_some_and(|first| first.is_multiple_of(8));
        let count = if may_only_read { 3 } else { SCOPES.len() };
        self.answer(wire::Tenant {
            tenant_id: samples::TENANT_ID.bytes(),
            scopes: SCOPES[..count].iter().map(|it| (*it).to_owned()).collect(),
        })
    }

    async fn create_payment(
        &self,
        request: Request<wire::CreatePaymentRequest>,
    ) -> Answered<wire::KeyedReply> {
        let request = request.into_inner();
        let texts: [&str; 3] = [
            &request.idempotency_key,
            &request.payment_method,
            &request.reference,
        ];
        self.take(read_create(request.clone()), &texts)?;
        self.answer_keyed(request.payment_id)
    }

    async fn act(&self, request: Request<wire::ActRequest>) -> Answered<wire::KeyedReply> {
        let request = request.into_inner();
        let texts: [&str; 2] = [&request.idempotency_key, &request.explanation];
        self.take(read_act(request.clone()), &texts)?;
        self.answer_keyed(request.payment_id)
    }

    async fn confirm(
        &self,
        request: Request<wire::ConfirmRequest>,
    ) -> Answered<wire::ConfirmReply> {
        let request = request.into_inner();
        self.take_ids(&request.tenant_id, &request.payment_id)?;
        self.answer(wire::ConfirmReply {
            attempt_id: vec![9; 16],
        })
    }

    async fn settle_answer(
        &self,
        request: Request<wire::SettleAnswerRequest>,
    ) -> Answered<wire::Answer> {
        let request = request.into_inner();
        self.take(Ok(()), &[&request.idempotency_key])?;
        let answer = self.answer(Self::kept_answer())?;
        self.keep(Some(answer.get_ref()));
        Ok(answer)
    }

    async fn read_payment(
        &self,
        request: Request<wire::ReadPaymentRequest>,
    ) -> Answered<wire::Payment> {
        let request = request.into_inner();
        self.take_ids(&request.tenant_id, &request.payment_id)?;
        self.answer(samples::wire_payment())
    }

    async fn list_payments(
        &self,
        request: Request<wire::ListPaymentsRequest>,
    ) -> Answered<wire::PaymentPage> {
        let request = request.into_inner();
        self.take(read_side(&request.after, &request.before), &[])?;
        self.answer(wire::PaymentPage {
            payments: vec![samples::wire_payment()],
            older: true,
            newer: true,
        })
    }

    async fn read_ledger(
        &self,
        request: Request<wire::ReadLedgerRequest>,
    ) -> Answered<wire::Ledger> {
        let request = request.into_inner();
        let payment_id = match request.payment_id.as_slice() {
            [] => samples::PAYMENT_ID.bytes(),
            bytes => bytes.to_vec(),
        };
        self.take_ids(&request.tenant_id, &payment_id)?;
        self.answer(wire::Ledger {
            balances: vec![wire::Balance {
                account: "merchant_payable".to_owned(),
                posted: Some(samples::wire_money()),
                held_minor: 5,
            }],
            postings: vec![wire::Posting {
                posting_id: vec![12; 16],
                kind: "charge".to_owned(),
                debit: "acquirer_receivable".to_owned(),
                credit: "merchant_payable".to_owned(),
                amount: Some(samples::wire_money()),
                payment_id,
                created_at_ms: 1_763_740_800_000,
            }],
        })
    }

    async fn create_webhook_endpoint(
        &self,
        request: Request<wire::CreateWebhookEndpointRequest>,
    ) -> Answered<wire::WebhookEndpoint> {
        self.take(Ok(()), &[&request.into_inner().url])?;
        self.answer(Self::endpoint())
    }

    async fn list_webhook_endpoints(
        &self,
        _: Request<wire::ListWebhookEndpointsRequest>,
    ) -> Answered<wire::WebhookEndpoints> {
        self.take(Ok(()), &[])?;
        self.answer(wire::WebhookEndpoints {
            endpoints: vec![Self::endpoint()],
        })
    }

    async fn rotate_webhook_secret(
        &self,
        _: Request<wire::RotateWebhookSecretRequest>,
    ) -> Answered<wire::WebhookEndpoint> {
        self.take(Ok(()), &[])?;
        self.answer(Self::endpoint())
    }

    async fn remove_webhook_endpoint(
        &self,
        _: Request<wire::RemoveWebhookEndpointRequest>,
    ) -> Answered<wire::RemoveWebhookEndpointReply> {
        self.take(Ok(()), &[])?;
        self.answer(wire::RemoveWebhookEndpointReply {})
    }

    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Answered<wire::EventPage> {
        let request = request.into_inner();
        self.take(read_side(&request.after, &request.before), &[])?;
        self.answer(wire::EventPage {
            bodies: vec![samples::event().to_string().into_bytes()],
            older: true,
            newer: true,
        })
    }

    async fn replay_event(
        &self,
        _: Request<wire::ReplayEventRequest>,
    ) -> Answered<wire::ReplayEventReply> {
        self.take(Ok(()), &[])?;
        self.answer(wire::ReplayEventReply { endpoints: 1 })
    }

    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Answered<wire::Deliveries> {
        let request = request.into_inner();
        self.take_ids(&request.tenant_id, &request.event_id)?;
        self.answer(wire::Deliveries {
            deliveries: vec![wire::Delivery {
                endpoint_id: vec![13; 16],
                status: "pending".to_owned(),
                tries: 2,
                last_try_at_ms: 1_763_740_800_000,
                next_try_at_ms: 1_763_740_810_000,
                delivered_at_ms: 0,
            }],
        })
    }

    async fn changes(&self, _: Request<wire::ChangesRequest>) -> Answered<BoxStream<wire::Change>> {
        Err(Status::unimplemented("nobody waits here"))
    }
}
