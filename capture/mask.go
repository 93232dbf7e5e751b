package capture

import "regexp"

// hidden stands where a secret stood.
const hidden = "***"

// secrets are what must never be written, each with the part that stays as
// $1. The signatures are those of presigned URLs of S3, CloudFront, Google
// and Azure, to which hubs redirect.
var secrets = [...]*regexp.Regexp{
	// Tokens of the hub: hf_ and 34 letters, and the older api_org_.
	regexp.MustCompile(`\b()(?:hf|api_org|hf_oauth|hf_jwt)_[A-Za-z0-9._-]{16,}`),
	regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token)\s+)?)[^\s"',;]+`),
	regexp.MustCompile(`(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}`),
	regexp.MustCompile(`(?i)\b(cookie["']?\s*[:=]\s*["']?).+`),
	regexp.MustCompile(`(?i)(\b[a-z][a-z0-9+.-]*://)[^\s/@"']+@`),
	regexp.MustCompile(`(?i)([?&;](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|signature|sig|policy|key-pair-id|awsaccesskeyid|googleaccessid|(?:access_|hf_)?token|api_?key|password|secret)=)[^\s&"'<>]+`),
	regexp.MustCompile(`(?i)\b((?:hf_token|hugging_?face_?hub_token|aws_secret_access_key|api_?key|password|passwd|secret)["']?\s*[=:]\s*["']?)[^\s"',;]+`),
	regexp.MustCompile(`(--token[= ])\S+`),
	regexp.MustCompile(`\b()eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`),
}

// Mask hides tokens, Authorization headers, and credentials and signatures in
// URLs. It is applied to every line that is to be written anywhere; what is
// passed through to the caller's own terminal stays as it is.
func Mask(s string) string {
	for _, secret := range secrets {
		s = secret.ReplaceAllString(s, "${1}"+hidden)
	}
	return s
}
