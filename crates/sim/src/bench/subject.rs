//! A server under load, whichever it is, with the devices that speak to it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use model::{DeviceId, TenantId};
use serde_json::{Value, json};

use super::probe::Probe;
use super::suite::peers::Peer;
use super::{Bench, CLASS, Load, PROBE_CLASS, Step, schema};
use crate::api::{Api, Credentials, NewDevice};
use crate::load::{Credential, Senders};
use crate::null::NullChild;
use crate::process::{Launch, Listen, Server};
use crate::scratch::Scratch;

/// A server and who speaks to it.
pub struct Subject {
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    pub pid: Option<u32>,
    pub senders: Senders,
    /// Where an earlier load over the same devices ended.
    pub begun: Arc<[u64]>,
    /// None for a server that keeps nothing.
    pub keeper: Option<Keeper>,
    process: Process,
}

/// What a server that keeps what it acknowledges can be asked.
pub struct Keeper {
    pub api: Api,
    pub probe: Option<Probe>,
    /// The listener that has `/metrics`.
    pub operations: Option<String>,
    /// Whether the rows that came of a load are counted.
    pub counts: bool,
}

/// What ends with the subject.
enum Process {
    Foreign,
    Null { _child: NullChild },
    Peer { _child: Peer },
    Own { server: Server, _data: Scratch },
}

/// Who is to be registered.
pub struct Request<'a> {
    pub load: &'a Load,
    pub probe_interval: Option<Duration>,
}

/// Devices that are registered at once, so that their credentials never are in memory all together.
const REGISTERED_AT_ONCE: usize = 50_000;

impl Subject {
    /// A new null server.
    pub fn null(bench: Bench<'_>, load: &Load) -> Result<Self> {
        (bench.step)(Step::Starting("the null server"));
        let child = NullChild::start(bench.binary)?;
        let (mqtt, http, pid) = (resolve(&child.listen.mqtt)?, resolve(&child.listen.http)?, Some(child.pid()));
        Ok(Self::that_keeps_nothing(load, mqtt, http, pid, Process::Null { _child: child }))
    }

    /// Another broker, which takes anybody.
    pub fn peer(load: &Load, peer: Peer) -> Self {
        let (mqtt, pid) = (peer.mqtt, Some(peer.pid()));
        Self::that_keeps_nothing(load, mqtt, mqtt, pid, Process::Peer { _child: peer })
    }

    fn that_keeps_nothing(load: &Load, mqtt: SocketAddr, http: SocketAddr, pid: Option<u32>, process: Process) -> Self {
        let devices: Arc<[DeviceId]> = (0..load.devices).map(|_| DeviceId::random()).collect();
        let tokens = || (0..load.devices).map(|number| format!("twd_null-{number}")).collect();
        let credential =
            if load.keyed() { Credential::Key("twk_null".to_owned()) } else { Credential::Tokens(tokens()) };
        let senders = Senders { tenant: TenantId::random(), devices, credential };
        Self { mqtt, http, pid, senders, begun: Arc::default(), keeper: None, process }
    }

    /// A new server with its data below `parent`; `serve` gets the extra arguments.
    pub fn start(bench: Bench<'_>, request: &Request<'_>, parent: &Path, extra: &[String]) -> Result<Self> {
        Self::start_in(bench, request, parent, extra, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_in(
        bench: Bench<'_>,
        request: &Request<'_>,
        parent: &Path,
        extra: &[String],
        environment: &[(&str, &Path)],
    ) -> Result<Self> {
        (bench.step)(Step::Starting("the server"));
        let data = Scratch::new(parent)?;
        let mut launch = Launch::new(bench.binary, data.path());
        launch.extra = extra.to_vec();
        launch.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        let server = launch.start(bench.clock)?;
        let key = server.admin_key()?;
        let (listen, pid) = (server.listen.clone(), server.pid());
        Self::register(bench, request, &listen, &key, Some(pid), Process::Own { server, _data: data })
    }

    /// A server that the caller has started and ends.
    pub fn of_server(bench: Bench<'_>, request: &Request<'_>, server: &Server) -> Result<Self> {
        let (listen, pid) = (&server.listen, Some(server.pid()));
        Self::register(bench, request, listen, &server.admin_key()?, pid, Process::Foreign)
    }

    /// The same devices at the server's next start, which has other ports and another pid.
    pub fn moved(self, server: &Server) -> Result<Self> {
        let (mqtt, http) = (resolve(&server.listen.mqtt)?, resolve(&server.listen.http)?);
        Ok(Self { mqtt, http, pid: Some(server.pid()), keeper: None, ..self })
    }

    /// A server that somebody runs.
    pub fn running(
        bench: Bench<'_>,
        request: &Request<'_>,
        url: &str,
        mqtt: &str,
        key: &str,
        pid: Option<u32>,
    ) -> Result<Self> {
        let http = url.trim_start_matches("http://").to_owned();
        let listen = Listen { mqtt: mqtt.to_owned(), http, operations: None };
        Self::register(bench, request, &listen, key, pid, Process::Foreign)
    }

    fn register(
        bench: Bench<'_>,
        request: &Request<'_>,
        listen: &Listen,
        key: &str,
        pid: Option<u32>,
        process: Process,
    ) -> Result<Self> {
        let Request { load, probe_interval } = *request;
        let (mqtt, http) = (resolve(&listen.mqtt)?, resolve(&listen.http)?);
        let api = Api::new(&format!("http://{}", listen.http), key);
        if load.with_schema {
            schema::declare(&api, load.shape)?;
        }
        let probe = match probe_interval {
            Some(interval) => Some(Probe::new(register_one(&api)?, mqtt, interval)),
            None => None,
        };
        let (mut devices, mut tokens, mut tenant) = (Vec::new(), Vec::new(), None);
        while devices.len() < load.devices {
            let (done, part) = (devices.len(), REGISTERED_AT_ONCE.min(load.devices - devices.len()));
            let metadata = |number| if load.with_schema { schema::metadata(number) } else { json!({}) };
            let new: Vec<NewDevice> = (0..part).map(|number| new_device(CLASS, metadata(number))).collect();
            let progress = |more| {
                (bench.step)(Step::Registering { done: (done + more) as u64, all: load.devices as u64 });
            };
            for credentials in api.register(&new, progress)? {
                tenant = Some(credentials.tenant_id);
                devices.push(credentials.device_id);
                if !load.keyed() {
                    tokens.push(credentials.auth_token.context("a new device has a token")?);
                }
            }
        }
        let credential =
            if load.keyed() { Credential::Key(api.key().to_owned()) } else { Credential::Tokens(tokens.into()) };
        let tenant = tenant.context("a bench needs a device")?;
        let senders = Senders { tenant, devices: devices.into(), credential };
        let counts = probe.is_some();
        let keeper = Some(Keeper { api, probe, operations: listen.operations.clone(), counts });
        Ok(Self { mqtt, http, pid, senders, begun: Arc::default(), keeper, process })
    }

    /// The same server with new devices of the same class, which speak through the same key.
    pub fn beside(&self, devices: usize) -> Result<Self> {
        let keeper = self.keeper.as_ref().context("devices are registered at a server that keeps what it takes")?;
        let new: Vec<NewDevice> = (0..devices).map(|_| new_device(CLASS, json!({}))).collect();
        let registered = keeper.api.register(&new, |_| ())?;
        let devices = registered.iter().map(|credentials| credentials.device_id).collect();
        let senders = Senders { devices, credential: Credential::Key(keeper.api.key().to_owned()), ..self.senders };
        let operations = keeper.operations.clone();
        let keeper = Some(Keeper { api: keeper.api.clone(), probe: None, operations, counts: false });
        let Self { mqtt, http, pid, .. } = *self;
        Ok(Self { mqtt, http, pid, senders, begun: Arc::default(), keeper, process: Process::Foreign })
    }

    /// Ends what was started.
    pub fn end(self) -> Result<()> {
        match self.process {
            Process::Own { server, _data } => server.stop(),
            Process::Foreign | Process::Null { .. } | Process::Peer { .. } => Ok(()),
        }
    }
}

fn new_device(class: &str, metadata: Value) -> NewDevice {
    NewDevice { id: DeviceId::random(), class: class.to_owned(), metadata }
}

fn register_one(api: &Api) -> Result<Credentials> {
    api.register(&[new_device(PROBE_CLASS, json!({}))], |_| ())?.pop().context("a device was registered")
}

fn resolve(address: &str) -> Result<SocketAddr> {
    let mut found = address.to_socket_addrs().with_context(|| format!("`{address}` is not a host and a port"))?;
    found.next().with_context(|| format!("`{address}` has no address"))
}
