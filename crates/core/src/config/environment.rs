//! Every environment variable that is read or handed on, by name. No other file spells one.

macro_rules! variables {
    ($($name:ident: $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = stringify!($name);)*

        /// Name and meaning of each, for help and documentation.
        pub const ALL: &[(&str, &str)] = &[$(($name, $meaning)),*];
    };
}

variables! {
    AGENT_LOG: "What is logged, a filter such as `info` or `agent::mape=debug,warn`; without it `warn,s3s=off`.";
    AGENT_KNOWLEDGE: "Where the shared table is, instead of `knowledge` in network.toml, in the same form.";
    AGENT_DATABASE_PASSWORD: "The password of the shared table's user, where the URL has none.";
    NO_COLOR: "Set to anything: output has no colours (see no-color.org).";
    CLICOLOR_FORCE: "Set to anything but `0`: output has colours in files and pipes too, unless `NO_COLOR` is set.";
    TERM: "Read: a terminal that calls itself `dumb` gets no colours.";
    AWS_ACCESS_KEY_ID: "Read: the user of the stores of kind \"s3\". Set for command and Spark jobs: the user of the store they read.";
    AWS_SECRET_ACCESS_KEY: "Read: the secret that belongs to the access key. Set for command and Spark jobs alike.";
    AWS_SESSION_TOKEN: "Read: the session token that temporary credentials have beside their key and secret. Set for command and Spark jobs alike.";
    AWS_PROFILE: "Read: the profile of the shared files that has the credentials, when no access key is in the environment; without it `default`.";
    AWS_SHARED_CREDENTIALS_FILE: "Read: where the profiles' credentials lie, instead of `~/.aws/credentials`.";
    AWS_CONFIG_FILE: "Read: where the profiles' configuration lies, instead of `~/.aws/config`.";
    AWS_CA_BUNDLE: "Read: a PEM file with the authorities to trust instead of the machine's, for stores behind HTTPS whose node names no `ca`. Set for command and Spark jobs, where there is one.";
    AGENT_STORE_ACCESS_KEY_ID: "Read: the user of the embedded stores, instead of one that each makes for itself; the same for all agents of a network that runs on several machines.";
    AGENT_STORE_SECRET_ACCESS_KEY: "Read: the secret that belongs to it.";
    AGENT_STORE_ADVERTISE: "Read by `agent run`: `http://HOST:PORT` under which others reach this node's embedded store, when its entry in network.toml has no `advertise`.";
    AGENT_GOSSIP_ADVERTISE: "Read by `agent run`: `HOST:PORT` under which other nodes reach this one's member, when `[membership]` in network.toml has no `advertise`.";
    AWS_ENDPOINT_URL: "Set for command and Spark jobs: the store's address, through the agent's link.";
    AWS_REGION: "Set for command and Spark jobs: the region that requests are signed for.";
    AWS_DEFAULT_REGION: "Set for command and Spark jobs: the same region, under the name that older clients read.";
    AGENT_LIFE: "Set for command and Spark jobs: which start of which agent they belong to; the agent's next start ends what carries an ended one.";
    SPARK_HOME: "Read for Spark jobs: where Spark is, when its `spark-submit` is not on the `PATH`, and its `conf`.";
    SPARK_CONF_DIR: "Read for Spark jobs: the folder with `spark-defaults.conf`, instead of `conf` in Spark's home.";
    AGENT_REFERENCE_DIR: "Read by the tests: the folder with the reference vectors, instead of `fixtures/reference`.";
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_variable_is_documented() {
        let document = include_str!("../../../../docs/configuration.md");
        for (name, _) in super::ALL {
            assert!(document.contains(&format!("\n| `{name}` |")), "{name} has no row in docs/configuration.md");
        }
    }
}
