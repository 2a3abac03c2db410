// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// deepLinkScheme is the only scheme a link to the wallet may have.
	deepLinkScheme = "openid-vc://"

	// maxDeepLinkBytes is more than twice what the service sends and still fits a QR code.
	maxDeepLinkBytes = 1024

	// maxRequestLife is three times what the service documents.
	maxRequestLife = 15 * time.Minute
)

// CreatedRequest is the service's checked answer to a [PresentationRequest].
type CreatedRequest struct {
	// RequestID is the service's name of the request; callbacks bring it.
	RequestID string

	// DeepLink opens the wallet, as a link or as a QR code. Its scheme is openid-vc and it leads to the configured service,
	// nowhere else. It must not be encoded again.
	DeepLink string

	// Expires is when the wallet can no longer fetch the request, usually after 5 minutes.
	Expires time.Time
}

// checkRequest refuses to send what the service would understand as more than was meant, or would refuse.
func (c *Client) checkRequest(request *PresentationRequest) error {
	if request.Authority == "" || request.Registration.ClientName == "" || request.Callback.State == "" {
		return errors.New("authority, client name or state is missing")
	}
	callback, err := url.Parse(request.Callback.URL)
	if err != nil || callback.Host == "" || callback.Scheme != "https" && callback.Scheme != c.service.Scheme {
		return errors.New("callback URL is not https")
	}
	for name := range request.Callback.Headers {
		if !strings.EqualFold(name, "Authorization") && !strings.EqualFold(name, "api-key") {
			return errors.New("callback header is neither Authorization nor api-key")
		}
	}
	if len(request.RequestedCredentials) == 0 {
		return errors.New("requested credentials are missing")
	}
	for _, credential := range request.RequestedCredentials {
		if credential.Type == "" || credential.Type == baseType {
			return errors.New("credential type is missing or the type of every credential")
		}
		if len(credential.AcceptedIssuers) == 0 {
			return errors.New("accepted issuers are missing: the service would accept anyone's credential")
		}
	}
	return nil
}

// checkAnswer turns an answer into something that may be shown to a visitor, or refuses it.
func (c *Client) checkAnswer(status int, body []byte) (CreatedRequest, error) {
	if status != http.StatusCreated {
		return CreatedRequest{}, badAnswer("status is %d, not 201", status)
	}
	if len(body) > maxAnswerBytes {
		return CreatedRequest{}, badAnswer("body is longer than %d bytes", maxAnswerBytes)
	}
	var answer struct {
		RequestID string `json:"requestId"`
		URL       string `json:"url"`
		Expiry    int64  `json:"expiry"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		// The error would quote the body.
		return CreatedRequest{}, badAnswer("body is not the JSON expected")
	}
	if cleanWord(answer.RequestID) != answer.RequestID || answer.RequestID == "" {
		return CreatedRequest{}, badAnswer("request ID is missing or malformed")
	}
	if err := c.checkDeepLink(answer.URL); err != nil {
		return CreatedRequest{}, err
	}
	now := c.now()
	expires := time.Unix(answer.Expiry, 0).UTC()
	if !expires.After(now) || expires.Sub(now) >= maxRequestLife {
		return CreatedRequest{}, badAnswer("expiry is not within the next %v: is the clock right?", maxRequestLife)
	}
	return CreatedRequest{RequestID: answer.RequestID, DeepLink: answer.URL, Expires: expires}, nil
}

// checkDeepLink makes sure that a link can only open the wallet, and the wallet only ask the configured service. It is what
// allows a page to put the link into an attribute.
func (c *Client) checkDeepLink(link string) error {
	if !strings.HasPrefix(link, deepLinkScheme) || len(link) > maxDeepLinkBytes {
		return badAnswer("link is not %s or too long", deepLinkScheme)
	}
	if strings.ContainsFunc(link, notInURL) {
		return badAnswer("link holds a character that no URL has")
	}
	parsed, err := url.Parse(link)
	if err != nil || parsed.Host != "" || parsed.User != nil || parsed.Fragment != "" || strings.Trim(parsed.Path, "/") != "" {
		return badAnswer("link is more than a scheme and a query")
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil || len(query["request_uri"]) != 1 {
		return badAnswer("link has no request_uri, or several")
	}
	for name := range query {
		if name != "request_uri" && strings.EqualFold(name, "request_uri") {
			return badAnswer("link has a second request_uri")
		}
	}
	target, err := url.Parse(query.Get("request_uri"))
	// Decoded, it may hold what the link may not, such as a letter that only resembles one of the host.
	if err != nil || strings.ContainsFunc(query.Get("request_uri"), notInURL) || target.Scheme != c.service.Scheme || !strings.EqualFold(target.Host, c.service.Host) || target.User != nil {
		return badAnswer("request_uri is not at the configured service")
	}
	return nil
}

// notInURL says whether a character has no place in a URL as it is (RFC 3986, section 2).
func notInURL(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'<>\\^`{|}", r) }

func badAnswer(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadAnswer}, args...)...)
}

// isCorrelationVector says whether a text may be sent as MS-CV: the characters and length of versions 1 to 3.
func isCorrelationVector(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlnum(c) && !strings.ContainsRune("+/.!-_#", rune(c)) {
			return false
		}
	}
	return true
}
