// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/sync/singleflight"
)

// Source gives out access tokens. It is safe for concurrent use and needs no end.
type Source struct {
	config Config
	flight singleflight.Group

	mu         sync.Mutex
	credential azcore.TokenCredential
	current    azcore.AccessToken
	renewAt    time.Time
}

// renewBefore is how long before its end a token is replaced, and renewJitter how much earlier at most, so that many nodes
// do not come at once.
const (
	renewBefore = 5 * time.Minute
	renewJitter = time.Minute
)

// New checks the config. It calls nobody.
func New(config Config) (*Source, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	credential, err := config.credential()
	if err != nil {
		return nil, err
	}
	return &Source{config: config, credential: credential}, nil
}

// Key names this identity: sources with the same key give out the same tokens. It tells nothing of the secrets.
func (s *Source) Key() string { return s.config.key() }

// Token returns a token that is good for a while yet. rejected is one that the service has just answered with 401, or empty;
// it is not given out again. However many ask at a time, the token endpoint is asked once; while a token is still good
// and only due for renewal, nobody waits for it.
func (s *Source) Token(ctx context.Context, rejected string) (string, error) {
	token, due := s.usable(rejected)
	if token != "" && !due {
		return token, nil
	}
	flight := s.flight.DoChan("token", func() (any, error) {
		return s.fetch(context.WithoutCancel(ctx), rejected)
	})
	if token != "" {
		return token, nil // the renewal goes on without us
	}
	select {
	case result := <-flight:
		if result.Err != nil {
			return "", result.Err
		}
		return result.Val.(string), nil
	case <-ctx.Done():
		return "", fmt.Errorf("getting an access token: %w", ctx.Err())
	}
}

// usable is the token at hand, if it is any good, and whether it is time for another.
func (s *Source) usable(rejected string) (token string, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	if s.current.Token == "" || s.current.Token == rejected || !now.Before(s.current.ExpiresOn) {
		return "", true
	}
	return s.current.Token, !now.Before(s.renewAt)
}

// fetch gets one token. A rejected one also lies in azidentity's cache, so a credential with an empty one takes over.
func (s *Source) fetch(ctx context.Context, rejected string) (string, error) {
	if token, due := s.usable(rejected); token != "" && !due {
		return token, nil // somebody else was quicker
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	credential, err := s.credentialFor(rejected)
	if err != nil {
		return "", err
	}
	fresh, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{Scope}})
	if err != nil {
		return "", fmt.Errorf("getting an access token: %w", withoutBody(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = fresh
	left := fresh.ExpiresOn.Sub(s.config.Now())
	early := min(renewBefore+rand.N(renewJitter), left/2) //nolint:gosec // jitter is no secret
	s.renewAt = fresh.ExpiresOn.Add(-early)
	return fresh.Token, nil
}

func (s *Source) credentialFor(rejected string) (azcore.TokenCredential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Token == "" || (s.current.Token != rejected && s.config.Now().Before(s.current.ExpiresOn) && s.config.Now().Before(s.renewAt)) {
		return s.credential, nil
	}
	credential, err := s.config.credential()
	if err != nil {
		return nil, err
	}
	s.credential = credential
	return credential, nil
}

// withoutBody keeps of an authentication failure what the operator can use, its status and code, and drops the rest of the
// answer, which can hold the tenant's data.
func withoutBody(err error) error {
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		return fmt.Errorf("the token endpoint answered %d; check tenant, client_id and the secret or certificate", failed.RawResponse.StatusCode)
	}
	return err
}
