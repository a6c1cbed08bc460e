//! The wires between the processes, where there are any.

use std::io;

use paymesh_beds::{Balancer, Flow, Link, Postgres, Protocol, Tap};

use super::{Stack, Wire, Wires};

impl Stack {
    /// A wire whose steps are counted; none unless it was wished for.
    pub fn tap(&self, wire: Wire) -> &Tap {
        self.taps.get(&wire).expect("taps were wished for")
    }

    pub(super) fn lay_wires(&mut self) -> io::Result<()> {
        let is_cuttable = self.wishes.wires == Wires::Cuttable;
        let servers = std::iter::once(&self.postgres).chain(&self.standbys);
        for port in servers.map(Postgres::port) {
            let link = is_cuttable.then(|| Link::to(port)).transpose()?;
            self.servers.push((port, link));
        }
        if self.wishes.wires == Wires::Counted {
            let statements = Protocol::Postgres("select o.id, o.consumer");
            let to_postgres = Tap::to(self.postgres.port(), statements)?;
            let to_controller = Tap::to(self.card.ports.controller, Protocol::Http2)?;
            self.taps.insert(Wire::ControllerToPostgres, to_postgres);
            self.taps.insert(Wire::ProcessorToController, to_controller);
        }
        if self.wishes.wires == Wires::Sealing {
            let statements = Protocol::Postgres("select number, format, epoch");
            let to_postgres = Tap::to(self.postgres.port(), statements)?;
            self.taps.insert(Wire::ControllerToPostgres, to_postgres);
        }
        if self.wishes.wires == Wires::Balanced {
            let balancer = Balancer::start()?;
            let ports = &self.card.ports;
            balancer.add(ports.controller, ports.controller_health);
            self.balancer = Some(balancer);
        }
        if is_cuttable {
            for wire in Wire::ALL {
                if let Some(port) = self.end_of(wire) {
                    self.links.insert(wire, Link::to(port)?);
                }
            }
        }
        Ok(())
    }

    /// How a wire carries from now on, there and back.
    pub fn set_wire(&self, wire: Wire, there: Flow, back: Flow) {
        for link in self.links_of(wire) {
            link.set(there, back);
        }
    }

    /// Ends every connection that is open over a wire; new ones are carried.
    pub fn sever(&self, wire: Wire) {
        for link in self.links_of(wire) {
            link.sever();
        }
    }

    fn links_of(&self, wire: Wire) -> Vec<&Link> {
        let to_servers = self.servers.iter().filter_map(|(_, link)| link.as_ref());
        match wire {
            Wire::ControllerToPostgres => to_servers.collect(),
            other => self.links.get(&other).into_iter().collect(),
        }
    }

    /// The port at the far end of a wire, if that is always the same.
    fn end_of(&self, wire: Wire) -> Option<u16> {
        match wire {
            Wire::ApiToController | Wire::ProcessorToController => Some(self.card.ports.controller),
            Wire::ControllerToPostgres => None,
            Wire::ProcessorToAcquirer => Some(self.card.ports.acquirer),
        }
    }

    /// The address of the far end of a wire, over the wire if there is one.
    pub(super) fn over(&self, wire: Wire) -> String {
        let tap = self.taps.get(&wire).map(Tap::port);
        let link = tap.or_else(|| self.links.get(&wire).map(Link::port));
        let balancer = match wire {
            Wire::ApiToController | Wire::ProcessorToController => self.balancer.as_ref(),
            Wire::ControllerToPostgres | Wire::ProcessorToAcquirer => None,
        };
        let between = link.or_else(|| balancer.map(Balancer::port));
        let port = between.or_else(|| self.end_of(wire)).unwrap_or_default();
        format!("127.0.0.1:{port}")
    }
}
