//! What payment-api may ask.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use paymesh_contracts::{
    EndpointId, EventId, Money, PaymentId, TenantId, digest,
    persistence::{self as wire, create_payment_reply, payments_server::Payments},
};
use paymesh_operations::Secret;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{failed, unreadable};
use crate::{
    command::{Answer, Command, CreatePayment, Outcome},
    lane::Lane,
    queue::Hub,
    store::{Reader, Side},
};

/// How many payments one page holds at most.
const PAGE_MAX: u32 = 100;

/// The service.
pub struct PaymentsService {
    /// Where money is moved.
    pub lane: Lane,
    /// Where everything else is read.
    pub reader: Reader,
    /// What is committed here.
    pub hub: Hub,
    /// What API keys are hashed with.
    pub pepper: Secret,
}

fn wire_answer(answer: Answer) -> wire::Answer {
    wire::Answer {
        status: u32::from(answer.status),
        body: answer.body,
    }
}

fn read_create(request: wire::CreatePaymentRequest) -> Result<CreatePayment, Status> {
    let amount: Money = request
        .amount
        .ok_or_else(|| Status::invalid_argument("there is no amount"))?
        .try_into()
        .map_err(|_| Status::invalid_argument("the amount is in no known currency"))?;
    if !(1..=Money::AMOUNT_MINOR_MAX).contains(&amount.amount_minor) {
        return Err(Status::invalid_argument("the amount is out of range"));
    }
    Ok(CreatePayment {
        key: (
            TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?,
            request.idempotency_key,
        ),
        fingerprint: request
            .fingerprint
            .try_into()
            .map_err(|_| Status::invalid_argument("the fingerprint is not 32 bytes"))?,
        request_id: Uuid::from_slice(&request.request_id)
            .map_err(|_| Status::invalid_argument("the request id is not 16 bytes"))?,
        payment_id: PaymentId::from_bytes(&request.payment_id).map_err(unreadable)?,
        amount,
        payment_method: request.payment_method,
        reference: (!request.reference.is_empty()).then_some(request.reference),
    })
}

#[tonic::async_trait]
impl Payments for PaymentsService {
    type ChangesStream = Pin<Box<dyn Stream<Item = Result<wire::Change, Status>> + Send>>;

    async fn authenticate(
        &self,
        request: Request<wire::AuthenticateRequest>,
    ) -> Result<Response<wire::Tenant>, Status> {
        let hash = digest::keyed(
            self.pepper.expose().as_bytes(),
            &request.into_inner().key_digest,
        );
        let found = self.reader.tenant_of_key(&hash).await;
        found
            .map_err(|failure| failed(&failure))?
            .map(Response::new)
            .ok_or_else(|| Status::not_found("nobody has this key"))
    }

    async fn create_payment(
        &self,
        request: Request<wire::CreatePaymentRequest>,
    ) -> Result<Response<wire::CreatePaymentReply>, Status> {
        use create_payment_reply::Outcome as Word;
        let create = read_create(request.into_inner())?;
        let (word, payment_id, answer) = match self.lane.run(Command::CreatePayment(create)).await?
        {
            Outcome::Created { payment_id, answer } => (Word::Created, Some(payment_id), answer),
            Outcome::Replayed { payment_id, answer } => (Word::Replayed, Some(payment_id), answer),
            Outcome::InFlight => (Word::InFlight, None, None),
            Outcome::ChangedBody => (Word::ChangedBody, None, None),
            Outcome::Recovering => (Word::Recovering, None, None),
            _ => {
                return Err(Status::internal(
                    "a payment was answered like something else",
                ));
            }
        };
        Ok(Response::new(wire::CreatePaymentReply {
            outcome: word.into(),
            payment_id: payment_id.map(PaymentId::bytes).unwrap_or_default(),
            answer: answer.map(wire_answer),
        }))
    }

    async fn settle_answer(
        &self,
        request: Request<wire::SettleAnswerRequest>,
    ) -> Result<Response<wire::Answer>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let key = (tenant_id, request.idempotency_key);
        match self.lane.run(Command::SettleAnswer(key)).await? {
            Outcome::Settled(answer) => Ok(Response::new(wire_answer(answer))),
            _ => Err(Status::not_found("nothing was made with this key")),
        }
    }

    async fn read_payment(
        &self,
        request: Request<wire::ReadPaymentRequest>,
    ) -> Result<Response<wire::Payment>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let payment_id = PaymentId::from_bytes(&request.payment_id).map_err(unreadable)?;
        let found = self.reader.payment(tenant_id, payment_id).await;
        found
            .map_err(|failure| failed(&failure))?
            .map(Response::new)
            .ok_or_else(|| Status::not_found("there is no such payment"))
    }

    async fn list_payments(
        &self,
        request: Request<wire::ListPaymentsRequest>,
    ) -> Result<Response<wire::PaymentPage>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let side = match (request.after.as_slice(), request.before.as_slice()) {
            ([], []) => Side::Newest,
            (after, []) => Side::Older(PaymentId::from_bytes(after).map_err(unreadable)?),
            ([], before) => Side::Newer(PaymentId::from_bytes(before).map_err(unreadable)?),
            _ => {
                return Err(Status::invalid_argument(
                    "after and before exclude each other",
                ));
            }
        };
        let limit = request.limit.clamp(1, PAGE_MAX);
        let page = self.reader.payments(tenant_id, side, limit).await;
        Ok(Response::new(page.map_err(|failure| failed(&failure))?))
    }

    async fn read_ledger(
        &self,
        request: Request<wire::ReadLedgerRequest>,
    ) -> Result<Response<wire::Ledger>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let payment_id = match request.payment_id.as_slice() {
            [] => None,
            bytes => Some(PaymentId::from_bytes(bytes).map_err(unreadable)?),
        };
        let ledger = self.reader.ledger(tenant_id, payment_id).await;
        Ok(Response::new(ledger.map_err(|failure| failed(&failure))?))
    }

    async fn create_webhook_endpoint(
        &self,
        request: Request<wire::CreateWebhookEndpointRequest>,
    ) -> Result<Response<wire::WebhookEndpoint>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let endpoint = self.reader.add_endpoint(tenant_id, &request.url).await;
        Ok(Response::new(endpoint.map_err(|failure| failed(&failure))?))
    }

    async fn list_webhook_endpoints(
        &self,
        request: Request<wire::ListWebhookEndpointsRequest>,
    ) -> Result<Response<wire::WebhookEndpoints>, Status> {
        let tenant_id = TenantId::from_bytes(&request.get_ref().tenant_id).map_err(unreadable)?;
        let endpoints = self.reader.endpoints(tenant_id).await;
        Ok(Response::new(
            endpoints.map_err(|failure| failed(&failure))?,
        ))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<wire::RotateWebhookSecretRequest>,
    ) -> Result<Response<wire::WebhookEndpoint>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let endpoint_id = EndpointId::from_bytes(&request.endpoint_id).map_err(unreadable)?;
        let rotated = self
            .reader
            .rotate_secret(tenant_id, endpoint_id, request.overlap_seconds)
            .await;
        rotated
            .map_err(|failure| failed(&failure))?
            .map(Response::new)
            .ok_or_else(|| Status::not_found("there is no such endpoint"))
    }

    async fn remove_webhook_endpoint(
        &self,
        request: Request<wire::RemoveWebhookEndpointRequest>,
    ) -> Result<Response<wire::RemoveWebhookEndpointReply>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let endpoint_id = EndpointId::from_bytes(&request.endpoint_id).map_err(unreadable)?;
        let removed = self.reader.remove_endpoint(tenant_id, endpoint_id).await;
        if removed.map_err(|failure| failed(&failure))? {
            Ok(Response::new(wire::RemoveWebhookEndpointReply {}))
        } else {
            Err(Status::not_found("there is no such endpoint"))
        }
    }

    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Result<Response<wire::EventPage>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let after = match request.after.as_slice() {
            [] => None,
            bytes => Some(EventId::from_bytes(bytes).map_err(unreadable)?),
        };
        let limit = request.limit.clamp(1, PAGE_MAX);
        let page = self.reader.events(tenant_id, after, limit).await;
        Ok(Response::new(page.map_err(|failure| failed(&failure))?))
    }

    async fn replay_event(
        &self,
        request: Request<wire::ReplayEventRequest>,
    ) -> Result<Response<wire::ReplayEventReply>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let event_id = EventId::from_bytes(&request.event_id).map_err(unreadable)?;
        let told = self.reader.replay_event(tenant_id, event_id).await;
        told.map_err(|failure| failed(&failure))?
            .map(|endpoints| Response::new(wire::ReplayEventReply { endpoints }))
            .ok_or_else(|| Status::not_found("there is no such event"))
    }

    async fn changes(
        &self,
        _: Request<wire::ChangesRequest>,
    ) -> Result<Response<Self::ChangesStream>, Status> {
        let changes = BroadcastStream::new(self.hub.ended()).map(|ended| match ended {
            Ok((payment_id, answer)) => Ok(wire::Change {
                payment_id: payment_id.bytes(),
                answer: Some(wire_answer(answer)),
            }),
            // The listener connects again and looks for itself.
            Err(BroadcastStreamRecvError::Lagged(_)) => {
                Err(Status::data_loss("the listener was too slow"))
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
