//! Where the shared table is: `sqlite:FILE`, or the URL of a schema in a MySQL or MariaDB server, or in a cluster of them.

use super::problem::Invalid;
use super::settings::{DatabaseHost, DatabaseTls, DatabaseUrl, KnowledgeSettings};
use crate::domain::text::without_userinfo;
use std::net::Ipv6Addr;
use std::path::PathBuf;

const HELP: &str = r#"supported are "sqlite:FILE", a file relative to the data directory or absolute, and "mysql://USER@HOST:3306/SCHEMA""#;
const HOW: &str = "write it like `mysql://agent@db.example.org:3306/agent?tls=true`, special letters of a user or password \
                   as `%` and two hexadecimal digits";

/// A server's port when the URL names none.
const PORT: u16 = 3306;

/// More servers than any cluster has; each is looked at by each agent.
const HOSTS_MAX: usize = 16;

/// Longer names exist in no server.
const NAME_MAX: usize = 64;

/// Nothing of the text is repeated: it may hold a password.
pub fn knowledge(text: &str) -> Result<KnowledgeSettings, Invalid> {
    match text.split_once(':') {
        Some(("sqlite", file)) if !file.trim().is_empty() => Ok(KnowledgeSettings::Sqlite(PathBuf::from(file))),
        Some(("sqlite", _)) => Err(Invalid::new("`sqlite:` names no file", HELP)),
        Some(("mysql" | "mariadb", rest)) => database(rest).map(KnowledgeSettings::Mysql),
        Some((scheme, _)) => Err(Invalid::new(format!("`{scheme}` is not a supported database"), HELP)),
        None => Err(Invalid::new(format!("`{}` is not a supported database", without_userinfo(text)), HELP)),
    }
}

/// What follows the scheme: `//USER[:PASSWORD]@HOST[:PORT][,HOST[:PORT]...]/SCHEMA[?tls=true[&ca=FILE]]`.
fn database(rest: &str) -> Result<DatabaseUrl, Invalid> {
    let invalid = |problem: &str| Invalid::new(problem, HOW);
    let rest = rest.strip_prefix("//").ok_or_else(|| invalid("the database's URL has no `//`"))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, schema) = place.split_once('/').ok_or_else(|| invalid("the database's URL names no schema"))?;
    // The last one: a password may hold an `@` that nobody has encoded.
    let (user, servers) = authority.rsplit_once('@').ok_or_else(|| invalid("the database's URL names no user"))?;
    let (user, password) = match user.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (user, None),
    };
    let hosts = servers.split(',').map(host).collect::<Result<Vec<_>, _>>()?;
    if hosts.len() > HOSTS_MAX {
        return Err(Invalid::new(format!("the database's URL names more than {HOSTS_MAX} hosts"), HOW));
    }
    if let Some(twice) = hosts.iter().enumerate().find(|(at, host)| hosts[..*at].contains(host)) {
        return Err(Invalid::new(format!("the database's URL names the host {} twice", twice.1), HOW));
    }
    let (user, schema) = (decoded(user)?, decoded(schema)?);
    let is_name = |name: &str| !name.is_empty() && name.len() <= NAME_MAX && !name.contains(char::is_control);
    if !is_name(&user) || !is_name(&schema) || schema.contains('/') {
        return Err(invalid("the database's URL names no user or no schema"));
    }
    Ok(DatabaseUrl { hosts, user, password, schema, tls: tls(query)? })
}

fn host(server: &str) -> Result<DatabaseHost, Invalid> {
    let (name, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)),
        _ => (server, Some(PORT)),
    };
    let port = port.ok_or_else(|| Invalid::new("the database's port is not a number from 1 to 65535", HOW))?;
    let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name = match in_brackets {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
        None if is_host(name) => name,
        _ => return Err(Invalid::new("the database's URL names no host", HOW)),
    };
    Ok(DatabaseHost { name: name.to_owned(), port })
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn tls(query: &str) -> Result<DatabaseTls, Invalid> {
    let (mut is_on, mut authority) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("tls", "true")) => is_on = Some(true),
            Some(("tls", "false")) => is_on = Some(false),
            Some(("ca", file)) if !file.is_empty() => authority = Some(PathBuf::from(decoded(file)?)),
            _ => {
                let name = pair.split('=').next().unwrap_or_default();
                let help = "after `?` there may be `tls=true` and `ca=FILE`, joined by `&`";
                return Err(Invalid::new(format!("`{name}` in the database's URL is unknown or has no value"), help));
            }
        }
    }
    match (is_on, authority) {
        // A file of authorities is named to be used.
        (Some(true), authority) | (None, authority @ Some(_)) => Ok(DatabaseTls::On { authority }),
        (Some(false) | None, None) => Ok(DatabaseTls::Off),
        (Some(false), Some(_)) => Err(Invalid::new("`ca` in the database's URL does nothing with `tls=false`", HOW)),
    }
}

/// `%41` is `A`.
fn decoded(text: &str) -> Result<String, Invalid> {
    let wrong = || Invalid::new("a `%` in the database's URL stands for nothing", HOW);
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).ok_or_else(wrong)?;
        bytes.extend(hex::decode(digits).map_err(|_| wrong())?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> DatabaseHost {
        DatabaseHost { name: name.to_owned(), port }
    }

    fn url(text: &str) -> DatabaseUrl {
        match knowledge(text) {
            Ok(KnowledgeSettings::Mysql(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_part_of_a_url_is_read() {
        let plain = DatabaseUrl {
            hosts: vec![host("db.example.org", 3306)],
            user: "agent".to_owned(),
            password: None,
            schema: "lab".to_owned(),
            tls: DatabaseTls::Off,
        };
        assert_eq!(url("mysql://agent@db.example.org/lab"), plain);
        let full = DatabaseUrl {
            hosts: vec![host("fd00::1", 3307)],
            user: "a:b".to_owned(),
            password: Some("p@ss/w:rd%".to_owned()),
            schema: "lab".to_owned(),
            tls: DatabaseTls::On { authority: Some("/etc/ca file.pem".into()) },
        };
        assert_eq!(url("mariadb://a%3ab:p%40ss%2fw:rd%25@[fd00::1]:3307/lab?tls=true&ca=/etc/ca%20file.pem"), full);
        assert_eq!(url("mysql://a@h/s?tls=true").tls, DatabaseTls::On { authority: None });
        assert_eq!(url("mysql://a@h/s?tls=false").tls, DatabaseTls::Off);
    }

    #[test]
    fn a_url_may_name_every_server_of_a_cluster() {
        let cluster = url("mysql://agent@a,b:3307,[fd00::1],[fd00::1]:3307/lab");
        assert_eq!(cluster.hosts, [host("a", 3306), host("b", 3307), host("fd00::1", 3306), host("fd00::1", 3307)]);
        assert_eq!(cluster.to_string(), "mysql://agent@a:3306,b:3307,[fd00::1]:3306,[fd00::1]:3307/lab");
        assert_eq!(url(&cluster.to_string()), cluster);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let check = |text: &str, problem: &str| {
            let invalid = knowledge(text).expect_err(text);
            assert_eq!(invalid.problem, problem);
            assert!(!format!("{invalid:?}").contains("secret"), "{invalid:?}");
        };
        check("mysql:agent:secret@h/s", "the database's URL has no `//`");
        check("mysql://agent:secret@h", "the database's URL names no schema");
        check("mysql://h/secret", "the database's URL names no user");
        check("mysql://agent:secret@/s", "the database's URL names no host");
        check("mysql://agent:secret@a,,c/s", "the database's URL names no host");
        check("mysql://agent:secret@a,b:x/s", "the database's port is not a number from 1 to 65535");
        check("mysql://agent:secret@a,b,a:3306/s", "the database's URL names the host a:3306 twice");
        let many = format!("mysql://agent:secret@{}/s", (0..17).map(|n| format!("h{n}")).collect::<Vec<_>>().join(","));
        check(&many, "the database's URL names more than 16 hosts");
        check("mysql://agent:secret@h:0/s", "the database's port is not a number from 1 to 65535");
        check("mysql://agent:secret@h/", "the database's URL names no user or no schema");
        check("mysql://agent:secret%zz@h/s", "a `%` in the database's URL stands for nothing");
        check("mysql://a@h/s?ssl=secret", "`ssl` in the database's URL is unknown or has no value");
        check("mysql://a@h/s?tls=false&ca=f", "`ca` in the database's URL does nothing with `tls=false`");
        check("postgres://agent:secret@h/s", "`postgres` is not a supported database");
    }

    #[test]
    fn no_form_of_a_url_shows_the_password() {
        let url = url("mysql://agent:secret@h:1/s?tls=true&ca=f.pem");
        assert_eq!(url.to_string(), "mysql://agent@h:1/s?tls=true&ca=f.pem");
        assert!(!format!("{url:?}").contains("secret"), "{url:?}");
    }
}
