//! fetch API REPO: a whole model by hf-hub, one file after the other. API is
//! 0.5.0-sync or 0.5.0-tokio.
use hf_hub::api;
use std::{env, error::Error};

type Result = std::result::Result<(), Box<dyn Error + Send + Sync>>;

fn with_sync(id: String) -> Result {
    let repo = api::sync::ApiBuilder::from_env().with_progress(false).build()?.model(id);
    for file in repo.info()?.siblings {
        repo.get(&file.rfilename)?;
    }
    Ok(())
}

async fn with_tokio(id: String) -> Result {
    let repo = api::tokio::ApiBuilder::from_env().with_progress(false).build()?.model(id);
    for file in repo.info().await?.siblings {
        repo.get(&file.rfilename).await?;
    }
    Ok(())
}

fn main() -> Result {
    let args: Vec<String> = env::args().collect();
    let id = args[2].clone();
    match args[1].as_str() {
        "0.5.0-sync" => with_sync(id),
        "0.5.0-tokio" => tokio::runtime::Runtime::new()?.block_on(with_tokio(id)),
        other => Err(format!("{other} is none of the APIs").into()),
    }
}
