// Package registrytest is a schema registry inside the process, for tests,
// examples and laptops:
//
//	server := registrytest.New()
//	defer server.Close()
//	schemas := registry.New(registry.Config{URL: server.URL})
//
// It answers what the client asks, gives out the numbers 1, 2, 3… and forgets
// everything at the end. It does not look into schemas: any text is taken, and
// no version is refused as incompatible. A Protobuf schema comes back as it was
// given, so give a descriptor in base64. It listens on 127.0.0.1 alone.
package registrytest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"

	"github.com/godstream/godstream/codec/registry"
)

// Server is a registry. Its methods may be called by many goroutines at once.
type Server struct {
	URL string

	server   *httptest.Server
	lock     sync.Mutex
	schemas  []kept           // by number, less one
	subjects map[string][]int // numbers of the versions, by subject
	requests int
	fail     func(*http.Request) int
}

type kept struct {
	registry.Schema
	text string // the schema in one text, to find it again
}

// New starts a registry. Close it.
func New() *Server {
	s := &Server{subjects: map[string][]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/{id}", s.byID)
	mux.HandleFunc("POST /subjects/{subject}/versions", s.register)
	mux.HandleFunc("GET /subjects/{subject}/versions/{version}", s.version)
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.lock.Lock()
		defer s.lock.Unlock()
		s.requests++
		if s.fail != nil {
			if status := s.fail(r); status != 0 {
				refuse(w, status, status, "as the test wants it")
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	s.URL = s.server.URL
	return s
}

// Close stops the registry and waits for what it is answering.
func (s *Server) Close() { s.server.Close() }

// Register adds a schema to a subject and returns its number.
func (s *Server) Register(subject string, schema registry.Schema) uint32 {
	s.lock.Lock()
	defer s.lock.Unlock()
	return uint32(s.add(subject, schema))
}

// Requests is how many requests there were.
func (s *Server) Requests() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.requests
}

// Fail has f look at each request from now on: one for which it returns a status
// other than zero is refused with it. Nil ends that. f must not call the Server.
func (s *Server) Fail(f func(*http.Request) int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.fail = f
}

func (s *Server) add(subject string, schema registry.Schema) int {
	if schema.Type == "" {
		schema.Type = "AVRO"
	}
	whole, _ := json.Marshal(schema)
	id := 0
	for i, k := range s.schemas {
		if k.text == string(whole) {
			id = i + 1
		}
	}
	if id == 0 {
		s.schemas = append(s.schemas, kept{schema, string(whole)})
		id = len(s.schemas)
	}
	for _, known := range s.subjects[subject] {
		if known == id {
			return id
		}
	}
	s.subjects[subject] = append(s.subjects[subject], id)
	return id
}

func (s *Server) byID(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > len(s.schemas) {
		refuse(w, http.StatusNotFound, 40403, "Schema not found")
		return
	}
	reply(w, members(s.schemas[id-1].Schema))
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Schema     string               `json:"schema"`
		SchemaType string               `json:"schemaType"`
		References []registry.Reference `json:"references"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Schema == "" {
		refuse(w, http.StatusUnprocessableEntity, 42201, "Invalid schema")
		return
	}
	reply(w, map[string]any{"id": s.add(r.PathValue("subject"), registry.Schema{Type: asked.SchemaType, Text: asked.Schema, References: asked.References})})
}

func (s *Server) version(w http.ResponseWriter, r *http.Request) {
	subject := r.PathValue("subject")
	versions := s.subjects[subject]
	if len(versions) == 0 {
		refuse(w, http.StatusNotFound, 40401, "Subject '"+subject+"' not found.")
		return
	}
	n, err := strconv.Atoi(r.PathValue("version"))
	if r.PathValue("version") == "latest" {
		n, err = len(versions), nil
	}
	if err != nil || n < 1 || n > len(versions) {
		refuse(w, http.StatusNotFound, 40402, "Version not found.")
		return
	}
	id := versions[n-1]
	m := members(s.schemas[id-1].Schema)
	m["subject"], m["version"], m["id"] = subject, n, id
	reply(w, m)
}

func members(s registry.Schema) map[string]any {
	m := map[string]any{"schema": s.Text}
	if s.Type != "AVRO" {
		m["schemaType"] = s.Type
	}
	if len(s.References) > 0 {
		m["references"] = s.References
	}
	return m
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error_code": code, "message": message})
}
