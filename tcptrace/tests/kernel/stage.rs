//! Plays the steps of a scenario and notes what the kernel answered and when.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    actor::unescape,
    cast::{self, Actor, Answer},
    namespace::{Namespace, sysctl_path},
    script::{Deed, Place, Step},
    sys,
    tracer::Tracer,
};

/// How long one step may take; the longest is a connect that times out after some retries.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where scenarios are played: namespaces, actors, and perhaps a tracer of its own.
pub(crate) struct Stage {
    actors: HashMap<String, Actor>,
    /// Forked children: their name, the actor that relays to them, the words to do so, their pid.
    children: HashMap<String, (String, String, u32)>,
    pub(crate) here: Namespace,
    pub(crate) there: Option<Namespace>,
    placed_there: HashSet<String>,
    pub(crate) tracer: Option<Tracer>,
    pub(crate) record: Record,
}

/// What happened on the stage.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) steps: Vec<Step>,
    /// Begin and end of each step.
    pub(crate) windows: Vec<(u64, u64)>,
    pub(crate) people: HashMap<String, Person>,
    pub(crate) connections: Vec<Connection>,
    /// Descriptors, by the names of their sockets; those that are closed by now too.
    pub(crate) descriptors: HashMap<String, u64>,
}

/// A process on the stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    pub(crate) pid: u64,
    /// The names it has had.
    pub(crate) comms: Vec<String>,
}

/// A connection, or a listener, that the steps made.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The step that made it.
    pub(crate) step: usize,
    pub(crate) local: End,
    pub(crate) remote: End,
}

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Connected,
    Listening,
    Accepted,
}

/// Address and port, as far as known.
pub(crate) type End = (Option<IpAddr>, Option<u16>);

impl Stage {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            actors: HashMap::new(),
            children: HashMap::new(),
            here: Namespace::new()?,
            there: None,
            placed_there: HashSet::new(),
            tracer: None,
            record: Record::default(),
        })
    }

    /// Plays one step.
    pub(crate) fn play(&mut self, step: &Step) -> Result<()> {
        if let Deed::Act { actor, .. } | Deed::Fork { actor, .. } | Deed::Rename { actor, .. } =
            &step.deed
        {
            self.call(actor)?;
        }
        let begin = sys::boot_ns();
        let answer =
            self.act(&step.deed).with_context(|| format!("at the step `{}`", step.text))?;
        let end = sys::boot_ns();
        self.record.note(step, (begin, end), &answer);
        Ok(())
    }

    fn act(&mut self, deed: &Deed) -> Result<Answer> {
        match deed {
            Deed::Act { actor, command, error, .. } => {
                let answer = self.tell(actor, command)?;
                match (error, &answer.error) {
                    (None, _) => return answer.done(),
                    (Some(wanted), Some((name, _))) if wanted == name => return Ok(answer),
                    (Some(wanted), got) => bail!("it should fail with {wanted}: {got:?}"),
                }
            }
            Deed::Fork { actor, child } => {
                let answer = self.tell(actor, &format!("fork {child}"))?.done()?;
                let pid = answer.pid.context("fork tells a pid")?;
                let (root, route) = self.route(actor);
                self.children.insert(child.clone(), (root, format!("{route}in {child} "), pid));
                return Ok(answer);
            }
            Deed::Rename { actor, name } => {
                return self.tell(actor, &format!("rename {name}"))?.done();
            }
            Deed::Wait(duration) => thread::sleep(*duration),
            Deed::Sysctl { name, value, at } => self.set_sysctl(name, value, *at)?,
            Deed::Link(name, to) => self.here.set_link(name, to)?,
            Deed::Veth => {
                let there = Namespace::new()?;
                self.here.join(&there)?;
                self.there = Some(there);
            }
            Deed::Place(actor) => _ = self.placed_there.insert(actor.clone()),
            Deed::Run { there: false, command } => _ = self.here.run(command)?,
            Deed::Run { there: true, command } => _ = self.second()?.run(command)?,
            Deed::Kill(name) => self.kill(name)?,
            Deed::Trace => self.tracer = Some(Tracer::start(&[])?),
        }
        Ok(Answer::default())
    }

    fn second(&self) -> Result<&Namespace> {
        self.there.as_ref().context("`veth` makes the second namespace")
    }

    fn set_sysctl(&self, name: &str, value: &str, at: Place) -> Result<()> {
        match at {
            Place::HereIfPresent if !sysctl_path(name).exists() => Ok(()),
            Place::Here | Place::HereIfPresent => self.here.set_sysctl(name, value),
            Place::There => self.second()?.set_sysctl(name, value),
        }
    }

    /// Starts the actor if it is not there yet.
    fn call(&mut self, name: &str) -> Result<()> {
        if self.children.contains_key(name) || self.actors.contains_key(name) {
            return Ok(());
        }
        ensure!(unescape(name)?.len() < 16, "the kernel cuts process names after 15 bytes");
        let netns = match &self.there {
            Some(there) if self.placed_there.contains(name) => there,
            _ => &self.here,
        };
        let actor = Actor::spawn(name, netns)?;
        self.record.add_person(name, actor.pid());
        self.actors.insert(name.to_owned(), actor);
        Ok(())
    }

    fn tell(&self, name: &str, command: &str) -> Result<Answer> {
        let (root, route) = self.route(name);
        let actor = self.actors.get(&root).with_context(|| format!("no actor {root}"))?;
        actor.tell(&format!("{route}{command}"), PATIENCE)
    }

    fn kill(&self, name: &str) -> Result<()> {
        match self.children.get(name) {
            Some((.., pid)) => cast::kill_forked(*pid),
            None => self.actors.get(name).with_context(|| format!("no actor {name}"))?.kill(),
        }
    }

    fn route(&self, name: &str) -> (String, String) {
        match self.children.get(name) {
            Some((root, route, _)) => (root.clone(), route.clone()),
            None => (name.to_owned(), String::new()),
        }
    }
}

impl Record {
    fn note(&mut self, step: &Step, window: (u64, u64), answer: &Answer) {
        let number = self.steps.len();
        self.steps.push(step.clone());
        self.windows.push(window);
        match &step.deed {
            Deed::Fork { child, .. } => self.add_person(child, answer.pid.unwrap_or_default()),
            Deed::Rename { actor, name } => {
                let comm = unescape(name).unwrap_or_default();
                if let Some(person) = self.people.get_mut(actor) {
                    person.comms.push(String::from_utf8_lossy(&comm).into_owned());
                }
            }
            Deed::Act { verb, socket, command, .. } => {
                if let Some(fd) = answer.fd {
                    self.descriptors.insert(socket.clone(), fd);
                }
                let kind = match verb.as_str() {
                    "connect" | "start" => Kind::Connected,
                    "listen" => Kind::Listening,
                    "accept" => Kind::Accepted,
                    _ => return,
                };
                let mut local = end(answer.local);
                if kind == Kind::Listening {
                    local = end(command
                        .split_whitespace()
                        .nth(2)
                        .and_then(|address| address.parse().ok()));
                } else if local.0.is_some_and(|address| address.is_unspecified()) {
                    // A socket whose connect failed has forgotten its address, not its port.
                    local.0 = None;
                }
                let before =
                    self.connections.iter().filter(|c| c.socket() == socket.as_str()).count();
                let name =
                    if before == 0 { socket.clone() } else { format!("{socket}.{}", before + 1) };
                let remote = end(answer.remote);
                self.connections.push(Connection { name, kind, step: number, local, remote });
            }
            _ => {}
        }
    }

    fn add_person(&mut self, name: &str, pid: u32) {
        let comm = unescape(name).unwrap_or_default();
        let comms = vec![String::from_utf8_lossy(&comm).into_owned()];
        let person = Person { pid: pid.into(), comms };
        self.people.insert(name.to_owned(), person);
    }
}

impl Connection {
    fn socket(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(socket, _)| socket)
    }
}

/// A v4-mapped address is the IPv4 address to us, as it is to the tracer.
fn end(address: Option<SocketAddr>) -> End {
    let address = address.map(|address| (address.ip().to_canonical(), address.port()));
    (address.map(|(ip, _)| ip), address.map(|(_, port)| port).filter(|port| *port != 0))
}
