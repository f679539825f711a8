//! The sample API: a small shop that speaks REST, GraphQL, JSON-RPC and SOAP. It keeps no state: the same request always
//! gets the same answer, so that traffic can be checked against its plan.

mod graphql;
mod json_rpc;
mod reply;
mod rest;
mod soap;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, patch, post};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// How many products there are.
pub const PRODUCTS: u32 = 240;
/// How many users there are.
pub const USERS: u32 = 500;
/// What products are sorted into.
pub const CATEGORIES: [&str; 6] = ["shoes", "jackets", "lamps", "books", "toys", "garden"];

const ADJECTIVES: [&str; 10] =
    ["red", "quiet", "woollen", "tall", "northern", "folding", "bright", "plain", "tiny", "old"];
const NOUNS: [&str; 8] = ["harbour", "meadow", "lantern", "compass", "orchard", "ferry", "granite", "willow"];

/// The name of a product in paths. Names have no digits, as in real shops, so only their number shows that they vary.
pub fn product_slug(index: u32) -> String {
    let pick = |words: &[&'static str], index: u32| words[index as usize % words.len()];
    let category = pick(&CATEGORIES, index);
    format!("{}-{}-{}", pick(&ADJECTIVES, index / 6), pick(&NOUNS, index / 60 + index % 8), category)
}

/// A running shop; it closes when this is dropped.
#[derive(Debug)]
pub struct Shop {
    /// Where it listens.
    pub address: SocketAddr,
    server: AbortHandle,
}

impl Shop {
    /// Opens the shop.
    pub async fn start(listen: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router()).await {
                tracing::error!(%error, "the sample API stopped");
            }
        });
        Ok(Self { address, server: server.abort_handle() })
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router() -> Router {
    Router::new()
        .route("/api/categories", get(rest::categories))
        .route("/api/products", get(rest::products))
        .route("/api/products/{slug}", get(rest::product))
        .route("/api/products/{slug}/reviews", get(rest::reviews))
        .route("/api/catalog/export", get(rest::export))
        .route("/api/catalog/import", post(rest::import))
        .route("/api/login", post(rest::log_in))
        .route("/api/oauth/callback", get(rest::oauth_callback))
        .route("/api/users/{id}", patch(rest::change_user).get(rest::user))
        .route("/api/users/{id}/orders", get(rest::user_orders))
        .route("/api/users/{id}/addresses", get(rest::user_addresses))
        .route("/api/carts/{id}/items", post(rest::add_item))
        .route("/api/orders", post(rest::place_order))
        .route("/api/orders/{id}", get(rest::order))
        .route("/api/orders/{id}/events", get(rest::order_events))
        .route("/api/payments", post(rest::pay))
        .route("/api/reports/{day}", get(rest::report))
        .route("/graphql", post(graphql::answer))
        .route("/rpc", post(json_rpc::answer))
        .route("/soap/invoices", post(soap::answer))
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Plan;
    use std::collections::HashSet;

    #[test]
    fn slugs_differ_and_have_no_digits() {
        let slugs: HashSet<String> = (0..PRODUCTS).map(product_slug).collect();
        assert!(slugs.len() > 150, "{}", slugs.len());
        assert!(slugs.iter().all(|slug| !slug.bytes().any(|byte| byte.is_ascii_digit())));
    }

    /// Everything that does not depend on the gateway is answered as planned, straight from the shop.
    #[tokio::test]
    async fn planned_calls_get_planned_answers() {
        let shop = Shop::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut made = HashSet::new();
        let of_gateway = ["scans", "recommendations"];
        let planned =
            Plan::new(3).filter(|call| !of_gateway.contains(&call.scenario) && call.expected != 401);
        for call in planned.take(1_500) {
            // Slow calls and repeats of the same kind show nothing new.
            if !made.insert((call.scenario, call.expected, call.method, call.target.len() % 3)) {
                continue;
            }
            let mut request = client
                .request(call.method.parse().unwrap(), format!("http://{}{}", shop.address, call.target));
            for (name, value) in &call.headers {
                request = request.header(*name, value);
            }
            if let Some((media_type, content)) = &call.body {
                request = request.header("content-type", *media_type).body(content.clone());
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), call.expected, "{call:?}");
        }
        assert!(made.len() > 25, "{}", made.len());
    }
}
