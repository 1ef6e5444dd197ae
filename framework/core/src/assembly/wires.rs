//! The edges between the copies of stages.

use std::sync::Arc;

use super::{Layout, Settings};
use crate::{
    graph::{Exchange, Plan, Port, StageId},
    output::Wiring,
    port::{Receiver, Sender, edge},
};

/// All edges, until each end is taken by its task.
pub(super) struct Wires<'a> {
    plan: &'a Plan,
    /// By edge of the plan, then by the copy that sends.
    senders: Vec<Vec<Option<Wiring>>>,
    /// By stage, then by copy.
    receivers: Vec<Vec<Vec<Receiver>>>,
}

impl<'a> Wires<'a> {
    pub(super) fn new(plan: &'a Plan, layout: &Layout, settings: &Settings) -> Self {
        let receivers = layout
            .copies
            .iter()
            .map(|copies| (0..*copies).map(|_| Vec::new()).collect());
        let mut wires = Self {
            plan,
            senders: Vec::new(),
            receivers: receivers.collect(),
        };
        for plan in &plan.edges {
            let copies = layout.copies[plan.to];
            let owner = owners(&plan.exchange, copies);
            let from = (0..layout.copies[plan.from]).map(|copy| {
                let targets: Vec<u32> = match plan.exchange {
                    Exchange::Forward => vec![copy % copies],
                    Exchange::Single => vec![0],
                    Exchange::ByKey | Exchange::ByPartition(_) => (0..copies).collect(),
                };
                let senders = targets
                    .into_iter()
                    .map(|to| wires.connect(plan.to, to, settings));
                let senders: Vec<Sender> = senders.collect();
                Some(Wiring {
                    senders,
                    owner: Arc::clone(&owner),
                    limits: settings.limits,
                })
            });
            let from = from.collect();
            wires.senders.push(from);
        }
        wires
    }

    fn connect(&mut self, stage: StageId, copy: u32, settings: &Settings) -> Sender {
        let (sender, receiver) = edge(settings.window, settings.incarnation);
        self.receivers[stage][copy as usize].push(receiver);
        sender
    }

    pub(super) fn receivers(&mut self, stage: StageId, copy: u32) -> Vec<Receiver> {
        std::mem::take(&mut self.receivers[stage][copy as usize])
    }

    pub(super) fn main(&mut self, stage: StageId, copy: u32) -> Option<Wiring> {
        let edge = self.edge(stage, |port| port == Port::Main)?;
        self.senders[edge][copy as usize].take()
    }

    pub(super) fn sides(
        &mut self,
        stage: StageId,
        copy: u32,
    ) -> Vec<((u32, &'static str), Wiring)> {
        let mut sides = Vec::new();
        for (edge, plan) in self
            .plan
            .edges
            .iter()
            .enumerate()
            .filter(|(_, e)| e.from == stage)
        {
            if let Port::Side(operator, name) = plan.port {
                let wiring = self.senders[edge][copy as usize].take();
                sides.push(((operator, name), wiring.expect("each end is taken once")));
            }
        }
        sides
    }

    fn edge(&self, stage: StageId, port: impl Fn(Port) -> bool) -> Option<usize> {
        self.plan
            .edges
            .iter()
            .position(|edge| edge.from == stage && port(edge.port))
    }
}

/// Which copy each slot goes to.
fn owners(exchange: &Exchange, copies: u32) -> Arc<[u32]> {
    match exchange {
        Exchange::Forward | Exchange::Single => Arc::default(),
        // One receiver needs no choice.
        _ if copies == 1 => Arc::default(),
        Exchange::ByKey => (0..Plan::KEY_GROUPS).map(|slot| slot % copies).collect(),
        Exchange::ByPartition(slots) => slots
            .owners()
            .iter()
            .map(|partition| partition % copies)
            .collect(),
    }
}
