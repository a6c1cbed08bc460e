//! Where merchants want to be told, and what they were told.

use paymesh_contracts::{EndpointId, EventId, PaymentId, TenantId, persistence as wire};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{Failure, Reader, Side, ms, page::Texts, random_hex};
use crate::world::partition_of;

const EVENTS: Texts = Texts {
    older: "select body from event where tenant_id = $1 and id < $2 order by id desc limit $3",
    newer: "select body from event where tenant_id = $1 and id > $2 order by id limit $3",
};

const ENDPOINTS: &str = concat!(
    "select id, url, case when previous_until > clock_timestamp() then ",
    ms!("previous_until"),
    " end from webhook_endpoint
    where tenant_id = $1 and disabled_at is null order by id desc"
);

/// A merchant who rotates twice, because the first answer was lost, still knows the secret from
/// before the first time: that one goes on, and nobody ever saw the one in between.
const ROTATE_SECRET: &str = concat!(
    "update webhook_endpoint set
        previous_secret = case when $4::int8 = 0 then null
            when previous_until > clock_timestamp() then previous_secret else secret end,
        previous_until = case when $4::int8 = 0 then null
            else clock_timestamp() + $4::int8 * interval '1 second' end,
        secret = $3
    where tenant_id = $1 and id = $2 and disabled_at is null
    returning url, ",
    ms!("previous_until")
);

/// The ids of the messages are as `telling` makes them.
const REPLAY_EVENT: &str =
    "insert into outbox (id, consumer, partition, kind, payment_id, event_id,
        endpoint_id, available_at)
    select encode(substr(uuid_send($2::uuid), 1, 8) || substr(uuid_send(gen_random_uuid()), 9),
            'hex')::uuid,
        'webhooks', $4::int2, 'deliver_webhook', $3::uuid, $2::uuid, id, clock_timestamp()
    from webhook_endpoint where tenant_id = $1 and disabled_at is null
    returning id";

impl Reader {
    /// Adds an address where a tenant wants to be told.
    pub async fn add_endpoint(
        &self,
        tenant_id: TenantId,
        url: &str,
    ) -> Result<wire::WebhookEndpoint, Failure> {
        let (id, secret) = (Uuid::now_v7(), format!("whsec_{}", random_hex()));
        self.query(
            "insert into webhook_endpoint (id, tenant_id, url, secret) values ($1, $2, $3, $4)",
            &[&id, &tenant_id.0, &url, &secret],
        )
        .await?;
        Ok(wire::WebhookEndpoint {
            endpoint_id: id.as_bytes().to_vec(),
            url: url.to_owned(),
            secret,
            rotating_until_ms: 0,
        })
    }

    /// The addresses in use, newest first, without their secrets.
    pub async fn endpoints(&self, tenant_id: TenantId) -> Result<wire::WebhookEndpoints, Failure> {
        let rows = self.query(ENDPOINTS, &[&tenant_id.0]).await?;
        let endpoint = |row: &Row| wire::WebhookEndpoint {
            endpoint_id: row.get::<_, Uuid>(0).as_bytes().to_vec(),
            url: row.get(1),
            secret: String::new(),
            rotating_until_ms: row.get::<_, Option<i64>>(2).unwrap_or_default(),
        };
        Ok(wire::WebhookEndpoints {
            endpoints: rows.iter().map(endpoint).collect(),
        })
    }

    /// Gives an endpoint a new secret; the one before goes on for `overlap_seconds`.
    pub async fn rotate_secret(
        &self,
        tenant_id: TenantId,
        endpoint_id: EndpointId,
        overlap_seconds: u32,
    ) -> Result<Option<wire::WebhookEndpoint>, Failure> {
        let secret = format!("whsec_{}", random_hex());
        let rows = self
            .query(
                ROTATE_SECRET,
                &[
                    &tenant_id.0,
                    &endpoint_id.0,
                    &secret,
                    &i64::from(overlap_seconds),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| wire::WebhookEndpoint {
            endpoint_id: endpoint_id.bytes(),
            url: row.get(0),
            secret: secret.clone(),
            rotating_until_ms: row.get::<_, Option<i64>>(1).unwrap_or_default(),
        }))
    }

    /// Sends nothing to an endpoint any more; says whether it was in use.
    pub async fn remove_endpoint(
        &self,
        tenant_id: TenantId,
        endpoint_id: EndpointId,
    ) -> Result<bool, Failure> {
        let rows = self
            .query(
                "update webhook_endpoint set disabled_at = clock_timestamp()
                 where tenant_id = $1 and id = $2 and disabled_at is null returning 1",
                &[&tenant_id.0, &endpoint_id.0],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// At most `limit` events of a tenant on one side of another one, newest first.
    pub async fn events(
        &self,
        tenant_id: TenantId,
        side: Side,
        limit: u32,
    ) -> Result<wire::EventPage, Failure> {
        let page = self.page(&EVENTS, tenant_id, side, limit).await?;
        Ok(wire::EventPage {
            bodies: page.rows.iter().map(|row| row.get(0)).collect(),
            older: page.older,
            newer: page.newer,
        })
    }

    /// Tells of an event again; gives the number of endpoints, `None` if there is no such event.
    pub async fn replay_event(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
    ) -> Result<Option<u32>, Failure> {
        let known = self
            .query(
                "select payment_id from event where tenant_id = $1 and id = $2",
                &[&tenant_id.0, &event_id.0],
            )
            .await?;
        let Some(row) = known.first() else {
            return Ok(None);
        };
        let payment = PaymentId(row.get(0));
        let values: [&(dyn ToSql + Sync); 4] = [
            &tenant_id.0,
            &event_id.0,
            &payment.0,
            &partition_of(payment),
        ];
        let told = self.query(REPLAY_EVENT, &values).await?;
        Ok(u32::try_from(told.len()).ok())
    }
}
