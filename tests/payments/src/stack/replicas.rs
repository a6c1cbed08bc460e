//! Every service twice: the one that a stack starts, and another one beside it.

use std::{io, path::PathBuf};

use paymesh_beds::{Balancer, Process, reserve_port};
use rustix::process::Signal;

use super::{Member, Stack, until_ready};

/// One of several processes of a service.
pub struct Replica {
    /// Of which.
    pub member: Member,
    /// Where it serves, if it serves anybody.
    pub port: u16,
    /// Where it says whether it is ready.
    pub health: u16,
    name: String,
    process: Option<Process>,
}

impl Replica {
    /// Asks it to end.
    pub fn ask_to_end(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::TERM);
        }
    }

    /// Asks it to end, and waits until it did; says whether it did by itself.
    pub fn stop(&mut self) -> bool {
        let process = self.process.take();
        process.is_some_and(|mut process| process.stop(Signal::TERM))
    }
}

impl Stack {
    /// What sends callers to a db-controller that is ready; there is one if it was wished for.
    pub fn balancer(&self) -> &Balancer {
        self.balancer.as_ref().expect("a balancer was wished for")
    }

    /// Gives each service a second replica, and both to the caller.
    pub fn twice(&mut self) -> io::Result<Vec<Replica>> {
        let ports = self.card.ports.clone();
        let mut replicas = Vec::new();
        for (member, port, health) in [
            (
                Member::Controller,
                ports.controller,
                ports.controller_health,
            ),
            (Member::Processor, reserve_port()?, ports.processor_health),
            (Member::Api, ports.api, ports.api_health),
        ] {
            replicas.push(Replica {
                member,
                port,
                health,
                name: member.program().to_owned(),
                process: self.processes.remove(&member),
            });
            let mut second = Replica {
                member,
                port: reserve_port()?,
                health: reserve_port()?,
                name: format!("{}-two", member.program()),
                process: None,
            };
            if member == Member::Controller {
                self.balancer().add(second.port, second.health);
            }
            self.run(&mut second)?;
            replicas.push(second);
        }
        Ok(replicas)
    }

    /// Starts a replica where it was, and waits until it is ready.
    pub fn run(&self, replica: &mut Replica) -> io::Result<()> {
        let mut command = self.command(replica.member)?;
        let at = |port: u16| format!("127.0.0.1:{port}");
        command.env("PAYMESH_HEALTH_LISTEN", at(replica.health));
        command.env("PAYMESH_LISTEN", at(replica.port));
        let mut process = Process::start(&replica.name, &mut command, &self.log_of(replica))?;
        until_ready(&replica.name, replica.health, &mut process)?;
        replica.process = Some(process);
        Ok(())
    }

    /// The file of all that a replica wrote, before and after it was started anew.
    pub fn log_of(&self, replica: &Replica) -> PathBuf {
        self.folder.join(format!("{}.log", replica.name))
    }
}
