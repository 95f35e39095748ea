// Starts Swagger UI on /docs: `<main id="docs" data-openapi="/api/v1/openapi.json">`. A file of its own, because
// the pages' content policy allows no script inside them.
type Start = (options: Readonly<Record<string, unknown>>) => unknown;

const target = document.getElementById("docs");
const start = (globalThis as { SwaggerUIBundle?: Start }).SwaggerUIBundle;
if (target && start) {
  start({
    url: target.dataset["openapi"],
    domNode: target,
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    validatorUrl: null, // asks nobody else
  });
}
