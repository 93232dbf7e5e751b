// snapshot.cjs REPO: a whole repository by @huggingface/hub.
const { snapshotDownload } = require("@huggingface/hub");

snapshotDownload({ repo: process.argv[2], hubUrl: process.env.HF_ENDPOINT }).catch((error) => {
  console.error(error);
  process.exit(1);
});
