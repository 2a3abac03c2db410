// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// maxAnswerBytes bounds what is read of any answer.
const maxAnswerBytes = 1 << 20

// CreatePresentationRequest asks the service for a presentation and returns its checked answer. The correlation vector goes
// along as MS-CV; empty or malformed, it is left out. The call takes 10 seconds at most, retries included: creating is not
// idempotent, but a request nobody uses ends by itself.
//
// Errors:
//   - a plain error if the request would be unsafe to send, for example without accepted issuers: a mistake of the caller;
//   - [ErrToken] if there is no token;
//   - [ErrBusy] if the service has asked for a pause, now or before; [RetryAfter] tells how long;
//   - [*ServiceError] for any answer but success, unless it is also [ErrBusy];
//   - [ErrBadAnswer] if the answer may not be used;
//   - otherwise the network's or the context's own.
func (c *Client) CreatePresentationRequest(ctx context.Context, request PresentationRequest, correlationVector string) (CreatedRequest, error) {
	if err := c.checkRequest(&request); err != nil {
		return CreatedRequest{}, fmt.Errorf("creating presentation request: %w", err)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return CreatedRequest{}, fmt.Errorf("creating presentation request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience.ServiceCall)
	defer cancel()

	call := call{client: c, body: body, correlationVector: correlationVector}
	created, err := call.run(ctx)
	if err != nil {
		return CreatedRequest{}, fmt.Errorf("creating presentation request: %w", err)
	}
	return created, nil
}

// call is one call with its attempts.
type call struct {
	client            *Client
	body              []byte
	correlationVector string
	token             string
	renewed           bool
}

func (k *call) run(ctx context.Context) (CreatedRequest, error) {
	delay := patience.ServiceRetry
	for attempt := 1; ; attempt++ {
		if pause := k.client.enter(ctx); pause > 0 {
			return CreatedRequest{}, &busyError{pause}
		}
		created, err := k.attempt(ctx)
		if err == nil {
			k.client.breaker.Succeeded(k.client.now())
			return created, nil
		}
		k.log(ctx, attempt, err)

		pause, retry := k.client.judge(ctx, err, delay)
		if !retry || attempt >= patience.ServiceAttempts {
			return CreatedRequest{}, err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause { //nolint:forbidigo // contexts end by the system's clock
			return CreatedRequest{}, err
		}
		if k.client.sleep(ctx, pause) != nil {
			return CreatedRequest{}, err
		}
		delay *= 3
	}
}

// enter returns for how long no call may be made. While somebody tries whether the service is back, it waits a little for what
// comes of that; those who have waited do not go on in step.
func (c *Client) enter(ctx context.Context) time.Duration {
	pause, probing := c.breaker.Enter(c.now())
	if probing == nil {
		return pause
	}
	timer := time.NewTimer(patience.ShortPause)
	defer timer.Stop()
	select {
	case <-probing:
	case <-timer.C:
	case <-ctx.Done():
	}
	if c.sleep(ctx, c.jitter(patience.ServiceRetry)) != nil {
		return pause
	}
	pause, _ = c.breaker.Enter(c.now())
	return pause
}

// attempt calls once, and once more with a fresh token should the service refuse the one we have.
func (k *call) attempt(ctx context.Context) (CreatedRequest, error) {
	created, err := k.post(ctx)
	var serviceError *ServiceError
	if errors.As(err, &serviceError) && serviceError.Status == http.StatusUnauthorized && !k.renewed {
		k.renewed = true
		created, err = k.post(ctx)
	}
	return created, err
}

func (k *call) post(ctx context.Context) (CreatedRequest, error) {
	c := k.client
	rejected := ""
	if k.renewed {
		rejected = k.token
	}
	token, err := c.tokens.Token(ctx, rejected)
	if err != nil {
		return CreatedRequest{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	k.token = token

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.create, bytes.NewReader(k.body))
	if err != nil {
		return CreatedRequest{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if isCorrelationVector(k.correlationVector) {
		request.Header.Set("ms-cv", k.correlationVector)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return CreatedRequest{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if response.StatusCode/100 != 2 {
		// Even half an error body must not hide the status.
		return CreatedRequest{}, newServiceError(response, answer, c.now())
	}
	if err != nil {
		return CreatedRequest{}, fmt.Errorf("reading answer: %w", err)
	}
	return c.checkAnswer(response.StatusCode, answer)
}

// judge says whether an attempt that failed is worth another, and after which pause. It keeps the shared back-off.
func (c *Client) judge(ctx context.Context, err error, delay time.Duration) (pause time.Duration, retry bool) {
	var serviceError *ServiceError
	var certificateError *tls.CertificateVerificationError
	switch {
	case errors.Is(err, ErrToken), errors.Is(err, ErrBadAnswer), errors.As(err, &certificateError):
		return 0, false
	case ctx.Err() != nil:
		// The visitor has gone, or the time is up. Only the latter says something about the service.
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.breaker.Failed(c.now())
		} else {
			c.breaker.Left(c.now())
		}
		return 0, false
	case errors.As(err, &serviceError) && !serviceError.Temporary():
		c.breaker.Succeeded(c.now()) // it says no, but it is there
		return 0, false
	case serviceError != nil && serviceError.asksForPause():
		c.breaker.Ask(c.now(), serviceError.RetryAfter)
		return serviceError.RetryAfter + c.jitter(patience.ServiceRetry), serviceError.RetryAfter <= patience.ShortPause
	}
	c.breaker.Failed(c.now())
	return c.jitter(delay), true
}

func (k *call) log(ctx context.Context, attempt int, err error) {
	attributes := []slog.Attr{
		slog.Int("attempt", attempt),
		slog.String("correlation_vector", cleanWord(k.correlationVector)),
	}
	if serviceError, ok := errors.AsType[*ServiceError](err); ok {
		attributes = append(attributes, slog.Any("answer", serviceError), slog.String("advice", serviceError.Operator()))
	} else {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	k.client.logger.LogAttrs(ctx, slog.LevelWarn, "request service call failed", attributes...)
}
