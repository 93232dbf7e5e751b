package capture

import (
	"regexp"
	"strings"
)

// The causes. Those of errors come first.
const (
	Gated            Cause = "gated"
	BadToken         Cause = "token"
	NoToken          Cause = "no-token"
	RepoNotFound     Cause = "repo-not-found"
	RevisionNotFound Cause = "revision-not-found"
	FileNotFound     Cause = "file-not-found"
	Forbidden        Cause = "forbidden"
	RateLimited      Cause = "rate-limited"
	Offline          Cause = "offline"
	NoName           Cause = "dns"
	BadCertificate   Cause = "tls"
	TimedOut         Cause = "timeout"
	NoConnection     Cause = "connection"
	HubFailed        Cause = "hub"
	NoSpace          Cause = "no-space"
	NoQuota          Cause = "quota"
	NoPermission     Cause = "permission"
	Corrupt          Cause = "corrupt"
	NotCached        Cause = "not-cached"
	NoMemory         Cause = "memory"

	LittleSpace Cause = "little-space"
	NoXet       Cause = "no-xet"
	NoMatch     Cause = "no-match"

	Progress Cause = "progress"
	Fetching Cause = "fetching"
	Loading  Cause = "downloading"
	Done     Cause = "downloaded"
	Waiting  Cause = "lock-wait"
	Retrying Cause = "retry"
	Limited  Cause = "rate-limit-wait"
	Weights  Cause = "weights"
)

// A rule tells what a line means. The first that matches counts.
type rule struct {
	class Class
	cause Cause
	// match is searched in the line. It has to be cheap on what isn't meant.
	match *regexp.Regexp
	// remedy is, for an error, what went wrong and what to do about it; %s
	// stands for the repository.
	remedy string
}

// gaveUp is how the line begins with which a program gives up: hf since 1.0
// ("Error: ..."), and the last line of a Python traceback, by itself or led by
// a logger's prefix (vLLM: "(EngineCore_DP0 pid=42) ERROR 11-22 [core.py:8] ").
const gaveUp = `^(?:\(\w[^)]*\) )?(?:ERROR\b[^\]]*\] )?(?:Error: |(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Enabled|Timeout): )`

// llamaRefused is how llama.cpp 0.7 says that the hub refuses a repository.
const llamaRefused = `^[\d.]+ E get_repo_commit: error: GET failed \(`

// rules are tried in this order. Sources: huggingface_hub 2.4 cli/_errors.py,
// utils/_http.py, file_download.py, _snapshot_download.py, with the texts of
// 0.21 to 1.28 where they differ; vLLM's weight_utils.py; TGI's hub.py; the
// texts of errno(3) as Python and Rust print them.
var rules = [...]rule{
	// Errors that tell by themselves that a download has failed. What
	// stands on lines of its own within the text of an exception comes
	// without the exception's name.
	failure(Gated, `^Cannot access gated repo for url|`+gaveUp+`Access denied\. .*requires approval|`+gaveUp+`.*gated repo|GatedRepoError: `,
		"access to %s is gated; accept its terms on the hub and pass a token (HF_TOKEN)"),
	failure(BadToken, gaveUp+`.*(?:Invalid credentials in Authorization header|Invalid user token|[Tt]oken is (?:not valid|invalid))|^Invalid user token`,
		"the hub does not take the token; pass a valid one (HF_TOKEN), or log in again (hf auth login)"),
	failure(RepoNotFound, llamaRefused+`40[14]\)`,
		"%s was not found on the hub, or is private; check the id, and pass a token (HF_TOKEN) if it is private"),
	failure(Forbidden, llamaRefused+`403\)`,
		"the hub forbids access to %s; accept its terms there if it is gated, and pass a token (HF_TOKEN) that may read it"),
	failure(NoToken, gaveUp+`(?:Not logged in\.|Token is required)|LocalTokenNotFoundError: `,
		"there is no token; log in (hf auth login) or pass one (HF_TOKEN)"),
	failure(RepoNotFound, `^Repository Not Found for url|RepositoryNotFoundError: |`+gaveUp+`(?:Model|Dataset|Space|Kernel|Repository) (?:'[^']*' )?not found\.`,
		"%s was not found on the hub, or is private; check the id and its type, and pass a token (HF_TOKEN) if it is private"),
	failure(RevisionNotFound, `^Revision Not Found for url|RevisionNotFoundError: |`+gaveUp+`Revision not found in`,
		"the revision of %s was not found; check --revision"),
	failure(FileNotFound, gaveUp+`(?:File not found in|404 Client Error.*Entry Not Found)|^Entry Not Found for url`,
		"a file that was asked for is not in %s; check its name"),
	failure(BadToken, gaveUp+`.*(?:401 Unauthorized|401 Client Error)`,
		"the hub wants a valid token; pass one (HF_TOKEN), or log in again (hf auth login)"),
	failure(RateLimited, `^429 Too Many Requests|`+gaveUp+`.*429 (?:Client Error|Too Many Requests)`,
		"the hub refuses more requests for now; wait some minutes, and pass a token (HF_TOKEN) to be allowed more"),
	failure(Forbidden, `^403 Forbidden: |`+gaveUp+`.*403 (?:Forbidden|Client Error)`,
		"the hub forbids access to %s; the token needs the permission to read it"),
	failure(Offline, `OfflineModeIsEnabled: |`+gaveUp+`.*(?:offline mode is enabled|HF_HUB_OFFLINE|outgoing traffic has been disabled)`,
		"offline mode is on and not all is cached; unset HF_HUB_OFFLINE, or fill the cache first"),
	failure(NoSpace, gaveUp+`.*(?:\[Errno 28\]|No space left on device|os error 28\b)`,
		"the disk is full; make room (hf cache ls tells what is cached) and start it again"),
	failure(NoQuota, gaveUp+`.*(?:\[Errno 122\]|Disk quota exceeded|os error 122\b)`,
		"the disk quota is used up; make room and start it again"),
	failure(Corrupt, gaveUp+`.*Consistency check failed`,
		"what came is not what was announced; start it again, and look at the proxy or mirror in between if it stays so"),

	// Errors that any program may have: only its end tells that it was the
	// download that failed of them.
	suspect(NoName, gaveUp+`.*(?:[Nn]ame resolution|Name or service not known|nodename nor servname|NameResolutionError|[Ff]ailed to resolve|failed to lookup address)`,
		"the hub's name can't be resolved; check DNS and HF_ENDPOINT"),
	suspect(BadCertificate, gaveUp+`.*(?:CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError|SSL: [A-Z_]+|invalid peer certificate)`,
		"the hub's certificate is not trusted; check the clock, the proxy and SSL_CERT_FILE"),
	suspect(TimedOut, gaveUp+`.*(?:Timeout|[Tt]imed out)`,
		"the hub does not answer in time; check the network and start it again"),
	suspect(NoConnection, gaveUp+`.*(?:Connection(?:Error| refused| reset| aborted)|ConnectError|unreachable|No route to host|[Ss]erver disconnected|IncompleteRead|peer closed connection|ProxyError)`,
		"the hub can't be reached; check the network, the proxy and HF_ENDPOINT, and start it again"),
	suspect(HubFailed, gaveUp+`.*(?:5\d\d Server Error|Server error '5\d\d)|HfHubHTTPError: `,
		"the hub has answered with an error; start it again later"),
	suspect(NotCached, gaveUp+`(?:Local entry not found\.|.*trying to locate)|(?:LocalEntryNotFoundError|IncompleteSnapshotError): `,
		"the hub can't be reached, and not all is cached; check the network, the proxy and HF_ENDPOINT"),
	suspect(NoPermission, gaveUp+`.*(?:\[Errno 13\]|\[Errno 30\]|Permission denied|Read-only file system)`,
		"the cache can't be written to; check who owns it, and HF_HOME"),
	suspect(NoMemory, `^MemoryError\b|`+gaveUp+`.*(?:Cannot allocate memory|\[Errno 12\])`,
		"there is not enough memory"),

	// Warnings.
	warning(LittleSpace, `Not enough free disk space to download`),
	warning(NoXet, `Xet Storage is enabled for this repo, but the '?hf_xet'? package is not installed`),
	warning(NoMatch, `No files matched`),

	// Events.
	event(Limited, `Rate limited\. Waiting`),
	event(Retrying, `Retrying in \d|Trying to resume download|thrown while requesting|Error while downloading from|Max retries exceeded|Error closing client`),
	event(Waiting, `Still waiting to acquire lock on`),
	event(Fetching, `^Fetching \d+ files?`),
	event(Loading, `^(?:Downloading|Download file:|downloading) `),
	event(Done, `^(?:Download complete|Downloaded )`),
	event(Weights, `Time spent downloading weights for`),
}

func failure(cause Cause, match, remedy string) rule {
	return rule{class: Error, cause: cause, match: regexp.MustCompile(match), remedy: remedy}
}

func suspect(cause Cause, match, remedy string) rule {
	return rule{class: Suspect, cause: cause, match: regexp.MustCompile(match), remedy: remedy}
}

func warning(cause Cause, match string) rule {
	return rule{class: Warning, cause: cause, match: regexp.MustCompile(match)}
}

func event(cause Cause, match string) rule {
	return rule{class: Event, cause: cause, match: regexp.MustCompile(match)}
}

// words of which one stands in every line that any rule knows: most lines of a
// talkative program hold none, and are done with.
var words = [...]string{
	"rror", "denied", "gated", "oken", "ogged", "not found", "Not Found", "429", "403", "ffline", "OFFLINE", "disabled",
	"space", "quota", "only file system", "Consistency", "mismatch", "name resolution", "not known", "nodename", "resolve",
	"CERTIFICATE", "SSL", "imeout", "timed out", "onnect", "unreachable", "route", "Local entry", "memory",
	"Xet", "matched", "imited", "Retrying", "resume", "thrown", "retries", "waiting", "Fetching", "ownload", "Exception", "ENOSPC", "IncompleteRead", "Enabled",
}

// classify tells what a line of output means, if it is known to mean anything.
func classify(line string) finding {
	if !known(line) {
		return finding{}
	}
	for i, r := range rules {
		if r.match.MatchString(line) {
			m := Message{Class: r.class, Cause: r.cause, Text: Mask(line), Remedy: r.remedy}
			return finding{Message: m, place: i, found: true}
		}
	}
	return finding{}
}

// beginnings are the words by their first byte, so that a line is gone through
// once and not for each word.
var beginnings = func() (by [256][]string) {
	for _, word := range words {
		by[word[0]] = append(by[word[0]], word)
	}
	return by
}()

func known(line string) bool {
	for i := range len(line) {
		for _, word := range beginnings[line[i]] {
			if strings.HasPrefix(line[i:], word) {
				return true
			}
		}
	}
	return false
}
