//! What has to stay the same from one start of a stack to the next.

use std::{fs, io, path::Path};

use paymesh_beds::{Postgres, reserve_port};
use serde::{Deserialize, Serialize};

/// What has to stay the same when a process is started again, and what a later process needs to
/// find this stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// The API.
    pub api_url: String,
    /// The merchant's key.
    pub api_key: String,
    /// Another one of theirs, which only reads, once it was given out.
    #[serde(default)]
    pub page_key: String,
    /// The database, for its administrator.
    pub database_url: String,
    pub(super) ports: Ports,
    pub(super) secrets: Secrets,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ports {
    pub(super) api: u16,
    pub(super) api_health: u16,
    pub(super) processor_health: u16,
    pub(super) controller: u16,
    pub(super) controller_health: u16,
    pub(super) acquirer: u16,
    // What a folder of before there was a page does not know.
    #[serde(default)]
    pub(super) page: u16,
    #[serde(default)]
    pub(super) page_health: u16,
    #[serde(default)]
    pub(super) listener: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Secrets {
    pub(super) pepper: String,
    pub(super) acquirer_token: String,
    pub(super) controller_password: String,
    pub(super) migrate_password: String,
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Card {
    /// The port where the merchant of the demo listens.
    pub fn listener_port(&self) -> u16 {
        self.ports.listener
    }

    /// Reserves the ports that an earlier version did not know of; says whether there were any.
    pub(super) fn complete(&mut self) -> io::Result<bool> {
        let ports = &mut self.ports;
        let mut is_other = false;
        for port in [&mut ports.page, &mut ports.page_health, &mut ports.listener] {
            if *port == 0 {
                *port = reserve_port()?;
                is_other = true;
            }
        }
        Ok(is_other)
    }

    /// Keeps it in a folder. A stack that was interrupted before is begun anew.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(folder.join("card.new"), text)?;
        fs::rename(folder.join("card.new"), folder.join("card.json"))
    }

    /// The card of a new stack on a database server.
    pub(super) fn new(postgres: &Postgres) -> io::Result<Self> {
        let api = reserve_port()?;
        Ok(Self {
            api_url: format!("http://127.0.0.1:{api}"),
            api_key: String::new(),
            page_key: String::new(),
            database_url: postgres.administrator_url("payments"),
            ports: Ports {
                api,
                api_health: reserve_port()?,
                processor_health: reserve_port()?,
                controller: reserve_port()?,
                controller_health: reserve_port()?,
                acquirer: reserve_port()?,
                page: reserve_port()?,
                page_health: reserve_port()?,
                listener: reserve_port()?,
            },
            secrets: Secrets {
                pepper: random(),
                acquirer_token: random(),
                controller_password: random(),
                migrate_password: random(),
            },
        })
    }
}
