// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
)

// didResolution is the answer of the DID resolver.
type didResolution struct {
	Context     string      `json:"@context"`
	DIDDocument didDocument `json:"didDocument"`
}

// serveIdentifier is the resolver that wallets ask for every DID.
func (e *Emulator) serveIdentifier(w http.ResponseWriter, r *http.Request) error {
	did := r.PathValue("did")
	document, err := e.resolve(did)
	if err != nil {
		return notFound("did", "The DID was not found.")
	}
	writeJSON(w, http.StatusOK, didResolution{Context: "https://www.w3.org/ns/did-resolution/v1", DIDDocument: document})
	return nil
}

// domainOf returns the host whose well-known files are asked for: one in the path, or the Host header.
func domainOf(r *http.Request) string {
	if host := r.PathValue("host"); host != "" {
		return strings.ToLower(host)
	}
	return strings.ToLower(r.Host)
}

func (e *Emulator) serveDIDDocument(w http.ResponseWriter, r *http.Request) error {
	document, err := e.resolve("did:web:" + strings.ReplaceAll(domainOf(r), ":", "%3A"))
	if err != nil {
		return notFound("did.json", "The DID document was not found.")
	}
	writeJSON(w, http.StatusOK, document)
	return nil
}

func (e *Emulator) serveDIDConfiguration(w http.ResponseWriter, r *http.Request) error {
	file, ok, err := e.didConfigurationOf(domainOf(r))
	if err != nil {
		return err
	}
	if !ok {
		return notFound("did-configuration.json", "The DID configuration was not found.")
	}
	writeJSON(w, http.StatusOK, file)
	return nil
}

// linkedDomainOf checks the linked domain of one of our authorities as the service does, without a network.
func (e *Emulator) linkedDomainOf(did string) (origin string, verified bool) {
	a, ok := e.authorities[did]
	if !ok {
		return "", false
	}
	fetch := func(host string) ([]byte, error) {
		file, ok, err := e.didConfigurationOf(host)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errors.New("no such file")
		}
		b, err := json.Marshal(file)
		if err != nil {
			return nil, fmt.Errorf("encoding DID configuration: %w", err)
		}
		return b, nil
	}
	return linkedDomain(a.document(), fetch, e.Now())
}

// hubRequest is a question to the identity hub; only status lists can be asked for.
type hubRequest struct {
	RequestID string `json:"requestId"`
	Target    string `json:"target"`
	Messages  []struct {
		Descriptor struct {
			Method   string `json:"method"`
			ObjectID string `json:"objectId"`
			Schema   string `json:"schema"`
		} `json:"descriptor"`
	} `json:"messages"`
}

type hubAnswer struct {
	RequestID string     `json:"requestId"`
	Replies   []hubReply `json:"replies"`
}

type hubReply struct {
	Entries []hubEntry `json:"entries"`
}

type hubEntry struct {
	Data string `json:"data"`
}

func (e *Emulator) serveHub(w http.ResponseWriter, r *http.Request) error {
	if mediaType(r) != "application/json" {
		return &serviceError{status: http.StatusUnsupportedMediaType}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badField("", "The request body is not readable.")
	}
	var asked hubRequest
	if err := jsonv2.Unmarshal(body, &asked); err != nil {
		return badField("", "The request body is not a valid JSON object.")
	}
	a, ok := e.authorities[asked.Target]
	if !ok || a.Tenant != r.PathValue("tenant") {
		return notFound("target", "The target was not found.")
	}
	answer := hubAnswer{RequestID: asked.RequestID, Replies: []hubReply{}}
	for _, message := range asked.Messages {
		reply := hubReply{Entries: []hubEntry{}}
		wanted := message.Descriptor
		if wanted.Method == "CollectionsQuery" && wanted.Schema == statusListSchema && wanted.ObjectID == a.list.objectID {
			token, err := a.listCredential(e.Now())
			if err != nil {
				return err
			}
			reply.Entries = append(reply.Entries, hubEntry{Data: base64.RawURLEncoding.EncodeToString([]byte(token))})
		}
		answer.Replies = append(answer.Replies, reply)
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}
