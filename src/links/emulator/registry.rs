//! The proxies by name, and what the API does with them.

use super::proxy::{self, Proxy};
use super::toxics::{Kind, Stream, Toxic};
use super::wire::{ProxyInput, ProxyOutput, ToxicInput};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Why a request is refused. The words before the colon are toxiproxy's, which clients compare.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("bad request body: {0}")]
    BadBody(String),
    #[error("missing required field: {0}")]
    MissingField(String),
    #[error("cannot listen on {listen:?}: {reason}")]
    BadListen { listen: String, reason: String },
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
#[derive(Default)]
pub struct Registry {
    proxies: Mutex<Proxies>,
    last_toxic: AtomicU64,
}

impl Registry {
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
        let mut proxy = Proxy::new(input.listen.unwrap_or_default(), upstream);
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
            check_listen(&listen).await?;
            proxy.stop().await;
            (proxy.listen, proxy.upstream) = (listen, upstream);
        }
        enable(proxy, enabled).await?;
        Ok(output(name, proxy))
    }

    pub async fn delete(&self, name: &str) -> Result<()> {
        let mut proxy = self.proxies.lock().await.remove(name).ok_or(Refusal::ProxyNotFound)?;
        proxy.stop().await;
        Ok(())
    }

    /// Creates or replaces the proxies of a list; those that are there already with the same addresses stay as they are.
    /// Nothing is changed if an entry is not usable.
    pub async fn populate(&self, inputs: Vec<ProxyInput>) -> Result<Vec<ProxyOutput>> {
        let mut wanted = BTreeMap::new();
        let mut names = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.into_iter().enumerate() {
            let place = |field| format!("{field} at proxy {}", index + 1);
            let name = required(input.name, &place("name"))?;
            let upstream = required(input.upstream, &place("upstream"))?;
            let listen = input.listen.unwrap_or_default();
            check_listen(&listen).await?;
            if wanted.insert(name.clone(), (listen, upstream, input.enabled.unwrap_or(true))).is_some() {
                return Err(Refusal::BadBody(format!("duplicate proxy name {name:?}")));
            }
            names.push(name);
        }
        let mut proxies = self.proxies.lock().await;
        for (name, (listen, upstream, enabled)) in wanted {
            if let Some(present) = proxies.get_mut(&name) {
                if present.upstream == upstream && is_same_address(&listen, &present.listen).await {
                    continue;
                }
                present.stop().await;
            }
            let mut proxy = Proxy::new(listen, upstream);
            enable(&mut proxy, enabled).await?;
            proxies.insert(name, proxy);
        }
        names.iter().map(|name| Ok(output(name, find(&proxies, name)?))).collect()
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
    pub async fn create_toxic(&self, proxy: &str, input: ToxicInput) -> Result<Toxic> {
        let proxies = self.proxies.lock().await;
        let proxy = find(&proxies, proxy)?;
        let stream_name = input.stream.as_deref().unwrap_or("downstream");
        let stream = Stream::named(stream_name).ok_or(Refusal::InvalidStream)?;
        let type_name = input.type_name.unwrap_or_default();
        let kind = Kind::named(&type_name).ok_or(Refusal::InvalidToxicType)?;
        let name = input.name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| format!("{type_name}_{}", stream_name.to_ascii_lowercase()));
        if proxy.toxic(&name).is_some() {
            return Err(Refusal::ToxicExists);
        }
        let kind = kind.with(&input.attributes.unwrap_or_default()).map_err(Refusal::BadBody)?;
        let id = self.last_toxic.fetch_add(1, Ordering::Relaxed);
        let toxic = Toxic { id, name, stream, toxicity: input.toxicity.unwrap_or(1.0), kind };
        proxy.put_toxic(&toxic);
        Ok(toxic)
    }

    /// Changes a toxic's attributes and toxicity, as far as given; name, type and stream stay.
    pub async fn update_toxic(&self, proxy: &str, name: &str, input: ToxicInput) -> Result<Toxic> {
        let proxies = self.proxies.lock().await;
        let proxy = find(&proxies, proxy)?;
        let mut toxic = proxy.toxic(name).ok_or(Refusal::ToxicNotFound)?;
        toxic.kind = toxic.kind.with(&input.attributes.unwrap_or_default()).map_err(Refusal::BadBody)?;
        toxic.toxicity = input.toxicity.unwrap_or(toxic.toxicity);
        proxy.put_toxic(&toxic);
        Ok(toxic)
    }

    pub async fn delete_toxic(&self, proxy: &str, name: &str) -> Result<()> {
        let removed = find(&*self.proxies.lock().await, proxy)?.remove_toxic(name);
        removed.then_some(()).ok_or(Refusal::ToxicNotFound)
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
    let failed = proxy.start().await;
    failed.map_err(|error| Refusal::BadListen { listen: proxy.listen.clone(), reason: error.to_string() })
}

/// Whether `listen` means where a proxy already listens, however it is written.
async fn is_same_address(listen: &str, current: &str) -> bool {
    listen == current
        || proxy::resolve(listen)
            .await
            .is_ok_and(|addresses| addresses.first().is_some_and(|first| first.to_string() == current))
}

async fn check_listen(listen: &str) -> Result<()> {
    match proxy::resolve(listen).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::BadListen { listen: listen.to_owned(), reason: error.to_string() }),
    }
}
