//! The S3 endpoint for applications: an agent's data sets as buckets that any S3 client reads, while replicas come and go behind it.
//!
//! Pure: `delivery` (an answer while replicas change), `version` (what readers are given), `objects` (keys), `listing`,
//! `conditions`, `reads` (what is measured), `writes` (what was written, until readers are given it). I/O: `catalogue` (what the table
//! says), `ways` (to the stores), `reading` (an answer's bytes), `writing` (to the origin), `service` (the operations).

mod catalogue;
mod conditions;
mod delivery;
mod listing;
mod objects;
mod reading;
mod reads;
mod service;
mod version;
mod ways;
mod writes;
mod writing;

pub use self::reads::{BOUNDS_MS, Counted, Reads};

use self::catalogue::Catalogue;
use self::reading::Shared;
use self::service::{AnyName, Rights, Service};
use self::ways::Ways;
use self::writing::Writing;
use crate::actors::World;
use crate::http_server::{Bounds, HttpServer, Listener};
use crate::storage::credentials::Credentials;
use crate::storage::staging::Staging;
use agent_core::domain::ids::DataSetName;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

const BOUNDS: Bounds = Bounds {
    connections: 512,
    // Longer than clients keep idle connections, so that none is closed in the moment it is used again.
    head_within: Duration::from_secs(300),
    head_at_most: 64 << 10,
};

/// One that runs. Dropping it ends it at once; [`S3Endpoint::shutdown`] lets answers end.
#[derive(Debug)]
pub struct S3Endpoint {
    server: HttpServer,
    reads: BTreeMap<DataSetName, Arc<Reads>>,
    _following: AbortOnDropHandle<()>,
    _announcing: Option<AbortOnDropHandle<()>>,
}

impl S3Endpoint {
    /// Serves the data sets of this world's agent, to who has these credentials. `staging`: they write, too; what arrives lies in this
    /// folder, which is nobody else's, until it is at the origin.
    pub fn start(
        world: Arc<World>,
        listener: Listener,
        credentials: &Credentials,
        staging: Option<&Path>,
    ) -> io::Result<Self> {
        let runtime = world.services.clone();
        let reads: BTreeMap<DataSetName, Arc<Reads>> =
            world.data_sets.iter().map(|data_set| (data_set.clone(), reads_of(&world))).collect();
        let catalogue = Catalogue::new(world.clone());
        let shared = Arc::new(Shared { ways: Ways::new(world.clone()), catalogue, world });
        let following = {
            let shared = shared.clone();
            AbortOnDropHandle::new(runtime.spawn(async move { shared.catalogue.follow().await }))
        };
        let staging = staging.map(Staging::open).transpose().map_err(io::Error::other)?;
        let writing = staging.map(|staging| Arc::new(Writing::new(shared.clone(), staging)));
        let announcing = writing
            .clone()
            .map(|writing| AbortOnDropHandle::new(runtime.spawn(async move { writing.announce().await })));
        let rights = Rights { writes: writing.is_some() };
        let mut builder = S3ServiceBuilder::new(Service { shared, reads: reads.clone(), writing });
        let secret = credentials.secret_access_key.as_str();
        builder.set_auth(SimpleAuth::from_single(credentials.access_key_id.clone(), secret));
        builder.set_access(rights);
        builder.set_validation(AnyName);
        let server = listener.serve("S3 endpoint", builder.build(), None, BOUNDS, &runtime)?;
        Ok(Self { server, reads, _following: following, _announcing: announcing })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// For whoever goes on counting with it.
    pub fn counters(&self) -> BTreeMap<DataSetName, Arc<Reads>> {
        self.reads.clone()
    }

    /// What was read of each data set since it was started.
    pub fn reads(&self) -> BTreeMap<DataSetName, Counted> {
        self.reads.iter().map(|(data_set, reads)| (data_set.clone(), reads.so_far())).collect()
    }

    /// Accepts nobody any more, lets answers end for a moment, and ends the others.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

/// Counters; where the application is a service, its job hears of each request, too.
fn reads_of(world: &World) -> Arc<Reads> {
    match &world.requests {
        Some(requests) => Arc::new(Reads::noting(requests.clone())),
        None => Arc::default(),
    }
}

#[cfg(test)]
mod tests;
