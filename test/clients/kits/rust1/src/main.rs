//! fetch VERSION REPO: a whole model by hf-hub 1.
use hf_hub::{HFClient, HFResult};

fn main() -> HFResult<()> {
    let id = std::env::args().nth(2).expect("usage: fetch VERSION REPO");
    let (owner, name) = id.split_once('/').expect("REPO is OWNER/NAME");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        HFClient::new()?.model(owner, name).snapshot_download().send().await?;
        Ok(())
    })
}
