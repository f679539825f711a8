//! Every store passes the suite.

use weir_store::testing::check_store;
use weir_store::{EmbeddedSettings, EmbeddedStore, MemoryStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    check_store(MemoryStore::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    let directory = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    check_store(|| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        EmbeddedStore::open(EmbeddedSettings::new(directory.path().join(number.to_string()))).unwrap()
    })
    .await;
}
