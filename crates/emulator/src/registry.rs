//! The proxies by name, and what the API does with them.

use super::carriers::{Carriers, Connections};
use super::proxy::{self, Proxy};
use super::toxics::{Kind, Numbers, Stream, Toxic};
use super::traffic::{self, Counted, Traffic};
use super::wire::{ProxyInput, ProxyOutput, ToxicChange, ToxicInput};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Why a request is refused. The words before the colon are toxiproxy's, which clients compare.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("bad request body: {0}")]
    BadBody(String),
    #[error("missing required field: {0}")]
    MissingField(String),
    /// A listen address that is taken, or none.
    #[error("{0}")]
    CannotListen(String),
    #[error("stream was invalid, can be either upstream or downstream")]
    InvalidStream,
    #[error("invalid toxic type")]
    InvalidToxicType,
    #[error("proxy not found")]
    ProxyNotFound,
    #[error("toxic not found")]
    ToxicNotFound,
    #[error("proxy already exists")]
    ProxyExists,
    #[error("toxic already exists")]
    ToxicExists,
}

type Result<T> = std::result::Result<T, Refusal>;
type Proxies = BTreeMap<String, Proxy>;

/// All proxies. Requests act one after another.
pub struct Registry {
    proxies: Mutex<Proxies>,
    last_toxic: AtomicU64,
    carriers: Arc<Carriers>,
    /// Whether what proxies carry is counted.
    counts: bool,
}

impl Registry {
    pub fn new(carriers: Carriers, counts: bool) -> Self {
        Self { proxies: Mutex::default(), last_toxic: AtomicU64::default(), carriers: Arc::new(carriers), counts }
    }

    pub fn connections(&self) -> Connections {
        self.carriers.open.clone()
    }

    pub fn counts(&self) -> bool {
        self.counts
    }

    fn traffic(&self) -> Option<Arc<Traffic>> {
        self.counts.then(Arc::default)
    }

    fn new_proxy(&self, listen: String, upstream: String) -> Proxy {
        Proxy::new(listen, upstream, self.traffic(), Arc::clone(&self.carriers))
    }

    /// What the proxies have carried, for a collector.
    pub async fn metrics(&self) -> String {
        let proxies = self.proxies.lock().await;
        let counted = proxies.iter().filter_map(|(name, proxy)| {
            let traffic = proxy.traffic.clone()?;
            let (listener, upstream) = (proxy.listen.clone(), proxy.upstream.clone());
            Some(Counted { proxy: name.clone(), listener, upstream, traffic })
        });
        traffic::exposition(&counted.collect::<Vec<_>>())
    }

    pub async fn list(&self) -> BTreeMap<String, ProxyOutput> {
        self.proxies.lock().await.iter().map(|(name, proxy)| (name.clone(), output(name, proxy))).collect()
    }

    pub async fn show(&self, name: &str) -> Result<ProxyOutput> {
        let proxies = self.proxies.lock().await;
        Ok(output(name, find(&proxies, name)?))
    }

    pub async fn create(&self, input: ProxyInput) -> Result<ProxyOutput> {
        let name = required(input.name, "name")?;
        let upstream = required(input.upstream, "upstream")?;
        let mut proxies = self.proxies.lock().await;
        if proxies.contains_key(&name) {
            return Err(Refusal::ProxyExists);
        }
        let mut proxy = self.new_proxy(input.listen.unwrap_or_default(), upstream);
        enable(&mut proxy, input.enabled.unwrap_or(true)).await?;
        let created = output(&name, &proxy);
        proxies.insert(name, proxy);
        Ok(created)
    }

    /// Changes what is given. Another address closes the connections; the same one, however it is written, does not.
    pub async fn update(&self, name: &str, input: ProxyInput) -> Result<ProxyOutput> {
        let mut proxies = self.proxies.lock().await;
        let proxy = proxies.get_mut(name).ok_or(Refusal::ProxyNotFound)?;
        let listen = input.listen.unwrap_or_else(|| proxy.listen.clone());
        let upstream = input.upstream.unwrap_or_else(|| proxy.upstream.clone());
        let enabled = input.enabled.unwrap_or(proxy.is_enabled());
        if upstream != proxy.upstream || !is_same_address(&listen, &proxy.listen).await {
            proxy::resolve(&listen).await.map_err(Refusal::CannotListen)?;
            proxy.stop().await;
            (proxy.listen, proxy.upstream, proxy.traffic) = (listen, upstream, self.traffic());
        }
        enable(proxy, enabled).await?;
        Ok(output(name, proxy))
    }

    pub async fn delete(&self, name: &str) -> Result<()> {
        let mut proxy = self.proxies.lock().await.remove(name).ok_or(Refusal::ProxyNotFound)?;
        proxy.stop().await;
        Ok(())
    }

    /// Creates or replaces the proxies of a list, one after another, up to the first failure; those that are there already
    /// with the same addresses stay as they are. A list with an entry that is not complete changes nothing.
    pub async fn populate(&self, inputs: Vec<ProxyInput>) -> (Vec<ProxyOutput>, Result<()>) {
        let mut wanted = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.into_iter().enumerate() {
            match Wanted::complete(index, input) {
                Ok(complete) => wanted.push(complete),
                Err(refusal) => return (Vec::new(), Err(refusal)),
            }
        }
        let mut proxies = self.proxies.lock().await;
        let mut done = Vec::with_capacity(wanted.len());
        for one in wanted {
            match self.create_or_replace(&mut proxies, one).await {
                Ok(output) => done.push(output),
                Err(refusal) => return (done, Err(refusal)),
            }
        }
        (done, Ok(()))
    }

    async fn create_or_replace(&self, proxies: &mut Proxies, wanted: Wanted) -> Result<ProxyOutput> {
        let Wanted { name, listen, upstream, enabled } = wanted;
        if let Some(present) = proxies.get_mut(&name) {
            proxy::resolve(&listen).await.map_err(Refusal::CannotListen)?;
            if present.upstream == upstream && is_same_address(&listen, &present.listen).await {
                return Ok(output(&name, present));
            }
            present.stop().await;
        }
        let mut proxy = self.new_proxy(listen, upstream);
        enable(&mut proxy, enabled).await?;
        let created = output(&name, &proxy);
        proxies.insert(name, proxy);
        Ok(created)
    }

    /// Enables every proxy and removes every toxic.
    pub async fn reset(&self) -> Result<()> {
        for proxy in self.proxies.lock().await.values_mut() {
            enable(proxy, true).await?;
            proxy.remove_all_toxics();
        }
        Ok(())
    }

    /// Closes and forgets everything.
    pub async fn clear(&self) {
        let proxies = std::mem::take(&mut *self.proxies.lock().await);
        for mut proxy in proxies.into_values() {
            proxy.stop().await;
        }
    }

    pub async fn toxics(&self, proxy: &str) -> Result<Vec<Toxic>> {
        Ok(find(&*self.proxies.lock().await, proxy)?.toxics())
    }

    pub async fn toxic(&self, proxy: &str, name: &str) -> Result<Toxic> {
        find(&*self.proxies.lock().await, proxy)?.toxic(name).ok_or(Refusal::ToxicNotFound)
    }

    /// Adds a toxic at the end of its direction's chain.
    pub async fn create_toxic(&self, proxy: &str, input: ToxicInput<'_>, numbers: Numbers) -> Result<Toxic> {
        let proxies = self.proxies.lock().await;
        let proxy = find(&proxies, proxy)?;
        let stream_name = input.stream.as_deref().unwrap_or("downstream");
        let stream = Stream::named(stream_name).ok_or(Refusal::InvalidStream)?;
        let kind = Kind::named(&input.type_name).ok_or(Refusal::InvalidToxicType)?;
        let name = input.name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| format!("{}_{}", input.type_name, stream.name()));
        if proxy.toxic(&name).is_some() {
            return Err(Refusal::ToxicExists);
        }
        let ToxicChange { toxicity, attributes } = input.change;
        let kind = kind.with(&attributes, numbers).map_err(Refusal::BadBody)?;
        let id = self.last_toxic.fetch_add(1, Ordering::Relaxed);
        let toxic = Toxic { id, name, stream, toxicity: toxicity.unwrap_or(1.0), kind };
        proxy.put_toxic(&toxic);
        Ok(toxic)
    }

    /// Changes a toxic's attributes and toxicity, as far as given; name, type and stream stay.
    pub async fn update_toxic(
        &self,
        proxy: &str,
        name: &str,
        change: ToxicChange<'_>,
        numbers: Numbers,
    ) -> Result<Toxic> {
        let proxies = self.proxies.lock().await;
        let proxy = find(&proxies, proxy)?;
        let mut toxic = proxy.toxic(name).ok_or(Refusal::ToxicNotFound)?;
        toxic.kind = toxic.kind.with(&change.attributes, numbers).map_err(Refusal::BadBody)?;
        toxic.toxicity = change.toxicity.unwrap_or(toxic.toxicity);
        proxy.put_toxic(&toxic);
        Ok(toxic)
    }

    pub async fn delete_toxic(&self, proxy: &str, name: &str) -> Result<()> {
        let removed = find(&*self.proxies.lock().await, proxy)?.remove_toxic(name);
        removed.then_some(()).ok_or(Refusal::ToxicNotFound)
    }
}

/// An entry of a list of proxies.
struct Wanted {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
}

impl Wanted {
    fn complete(index: usize, input: ProxyInput) -> Result<Self> {
        let place = |field| format!("{field} at proxy {}", index + 1);
        Ok(Self {
            name: required(input.name, &place("name"))?,
            upstream: required(input.upstream, &place("upstream"))?,
            listen: input.listen.unwrap_or_default(),
            enabled: input.enabled.unwrap_or(true),
        })
    }
}

fn find<'a>(proxies: &'a Proxies, name: &str) -> Result<&'a Proxy> {
    proxies.get(name).ok_or(Refusal::ProxyNotFound)
}

fn required(field: Option<String>, name: &str) -> Result<String> {
    field.filter(|value| !value.is_empty()).ok_or_else(|| Refusal::MissingField(name.to_owned()))
}

fn output(name: &str, proxy: &Proxy) -> ProxyOutput {
    ProxyOutput {
        name: name.to_owned(),
        listen: proxy.listen.clone(),
        upstream: proxy.upstream.clone(),
        enabled: proxy.is_enabled(),
        toxics: proxy.toxics(),
    }
}

async fn enable(proxy: &mut Proxy, enabled: bool) -> Result<()> {
    if !enabled {
        proxy.stop().await;
        return Ok(());
    }
    proxy.start().await.map_err(Refusal::CannotListen)
}

/// Whether `listen` means where a proxy already listens, however it is written.
async fn is_same_address(listen: &str, current: &str) -> bool {
    listen == current
        || proxy::resolve(listen)
            .await
            .is_ok_and(|addresses| addresses.first().is_some_and(|first| first.to_string() == current))
}
