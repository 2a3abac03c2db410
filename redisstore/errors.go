// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Errors of the store. They say what is wrong in words of ours: the client's may quote addresses, commands and values.
var (
	errResting    = fmt.Errorf("%w: it has not answered lately", verifier.ErrStoreUnavailable)
	errContended  = fmt.Errorf("%w: too many change the same", verifier.ErrStoreUnavailable)
	errUnreadable = fmt.Errorf("%w: an entry does not open", verifier.ErrStoreUnavailable)
	errUnexpected = fmt.Errorf("%w: an answer is not what was asked for", verifier.ErrStoreUnavailable)
)

// refusals are the words with which a server says that it can not, or not now.
var refusals = []struct{ code, reason string }{
	{"READONLY", "it is a read-only replica"},
	{"OOM", "it is out of memory"},
	{"MISCONF", "it cannot save to its disk"},
	{"LOADING", "it is loading its data"},
	{"NOAUTH", "it demands a password"},
	{"WRONGPASS", "it refuses the password"},
	{"NOPERM", "its ACL forbids a command, key or channel"},
	{"CLUSTERDOWN", "its cluster is down"},
	{"MASTERDOWN", "its master is down"},
	{"NOREPLICAS", "it has too few replicas to write"},
	{"TRYAGAIN", "its cluster is being resharded"},
	{"CROSSSLOT", "its cluster is being resharded"},
	{"MOVED", "its cluster has moved the slot"},
	{"ASK", "its cluster is moving the slot"},
	{"BUSY", "it is busy with a script"},
	{"WRONGTYPE", "a key of the same name is used by another program; choose another prefix"},
	{"max number of clients", "it has too many clients"},
}

// classify says what an error of the client means, and whether it is an answer of the server's.
func classify(err error) (reason string, answered bool) {
	if refusal, ok := errors.AsType[redis.Error](err); ok {
		text := strings.TrimPrefix(refusal.Error(), "ERR ")
		for _, known := range refusals {
			// Before Redis 7 the error of a script has the server's own in its middle.
			if strings.HasPrefix(text, known.code) || strings.Contains(text, "-"+known.code+" ") {
				return known.reason, true
			}
		}
		return "it refuses a command", true
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "it does not answer", false
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return "all connections to it are in use", false
	default:
		return "there is no connection to it", false
	}
}

// use is what a command needs of the server.
type use int

const (
	reading  use = iota
	removing     // and counting: a read-only server can not, a full one can
	writing
)

// health tells the operator of outages: once when one begins, and once when it ends.
type health struct {
	logger *slog.Logger

	mu     sync.Mutex
	down   bool
	writes bool // what did not work, and must work again, is writing
}

// failed takes the cause too if it is of the network: it names an address, and no command, key or value.
func (h *health) failed(u use, reason string, network error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes = h.writes || u != reading
	if !h.down {
		h.down = true
		attributes := []any{"reason", reason}
		if network != nil {
			attributes = append(attributes, "error", network.Error())
		}
		h.logger.Warn("the store is unavailable; sessions go on, nobody new gets in", attributes...)
	}
}

// ok says that nothing has failed since something of the kind worked.
func (h *health) ok() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.down
}

func (h *health) worked(u use) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down && (u == writing || !h.writes) {
		h.down, h.writes = false, false
		h.logger.Info("the store is available again")
	}
}
