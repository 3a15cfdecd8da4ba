//! The shared table in a MariaDB server: `agent db`, and the agents' commands on it.

mod network;

use network::mariadb;

#[test]
fn a_server_is_brought_back_with_what_it_stored() {
    let mut server = match mariadb::MariaDb::start(&[]) {
        Ok(server) => server,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let schema = server.schema();
    server.execute(&format!("create table {schema}.kept (id int); insert into {schema}.kept values (7)"));
    server.restart();
    assert_eq!(server.execute(&format!("select id from {schema}.kept")), ["7"]);
    let directory = server.directory().to_owned();
    drop(server);
    assert!(!directory.exists());
}
