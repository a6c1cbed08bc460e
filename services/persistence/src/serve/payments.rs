//! What payment-api may ask.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use paymesh_contracts::{
    AttemptId, EndpointId, EventId, PaymentId, TenantId, digest,
    persistence::{self as wire, payments_server::Payments},
};
use paymesh_operations::Secret;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    failed,
    request::{keyed_reply, read_act, read_create, read_side, wire_answer},
    unreadable,
};
use crate::{
    command::{Command, Outcome},
    lane::{Lane, overloaded},
    queue::Hub,
    store::Reader,
    world::Settled,
};

/// How many things one page holds at most.
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
    /// When streams end, so that their readers go to another replica.
    pub closing: CancellationToken,
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
    ) -> Result<Response<wire::KeyedReply>, Status> {
        let create = read_create(request.into_inner())?;
        if !self.hub.admits() {
            // What was taken in before is answered.
            let is_used = self.reader.is_used(&create.request.key).await;
            if !is_used.map_err(|failure| failed(&failure))? {
                return Err(overloaded().into());
            }
        }
        keyed_reply(self.lane.run(Command::CreatePayment(create)).await?)
    }

    async fn act(
        &self,
        request: Request<wire::ActRequest>,
    ) -> Result<Response<wire::KeyedReply>, Status> {
        let act = read_act(request.into_inner())?;
        keyed_reply(self.lane.run(Command::Act(act)).await?)
    }

    async fn confirm(
        &self,
        request: Request<wire::ConfirmRequest>,
    ) -> Result<Response<wire::ConfirmReply>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let payment_id = PaymentId::from_bytes(&request.payment_id).map_err(unreadable)?;
        match self
            .lane
            .run(Command::Confirm(tenant_id, payment_id))
            .await?
        {
            Outcome::Confirmed(attempt_id) => Ok(Response::new(wire::ConfirmReply {
                attempt_id: attempt_id.bytes(),
            })),
            _ => Err(Status::not_found("there is no such payment")),
        }
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
        let side = read_side(&request.after, &request.before)?;
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
        let side = read_side(&request.after, &request.before)?;
        let limit = request.limit.clamp(1, PAGE_MAX);
        let page = self.reader.events(tenant_id, side, limit).await;
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

    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Result<Response<wire::Deliveries>, Status> {
        let request = request.into_inner();
        let tenant_id = TenantId::from_bytes(&request.tenant_id).map_err(unreadable)?;
        let event_id = EventId::from_bytes(&request.event_id).map_err(unreadable)?;
        let found = self.reader.deliveries(tenant_id, event_id).await;
        found
            .map_err(|failure| failed(&failure))?
            .map(Response::new)
            .ok_or_else(|| Status::not_found("there is no such event"))
    }

    async fn changes(
        &self,
        _: Request<wire::ChangesRequest>,
    ) -> Result<Response<Self::ChangesStream>, Status> {
        // The listener connects again and looks for itself.
        let lagged = |_: BroadcastStreamRecvError| Status::data_loss("the listener was too slow");
        let here = BroadcastStream::new(self.hub.settled()).map(move |settled| {
            let change = |settled: Settled| wire::Change {
                payment_id: settled.payment_id.map(PaymentId::bytes).unwrap_or_default(),
                answer: Some(wire_answer(settled.answer)),
                attempt_id: settled.attempt_id.bytes(),
            };
            settled.map(change).map_err(lagged)
        });
        let elsewhere = BroadcastStream::new(self.hub.elsewhere()).map(move |attempt| {
            let change = |attempt: Option<AttemptId>| wire::Change {
                attempt_id: attempt.map(AttemptId::bytes).unwrap_or_default(),
                ..wire::Change::default()
            };
            attempt.map(change).map_err(lagged)
        });
        let changes = futures::stream::select(here, elsewhere);
        let closing = self.closing.clone().cancelled_owned();
        Ok(Response::new(Box::pin(changes.take_until(closing))))
    }
}
