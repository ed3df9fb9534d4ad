// Starts the components of GOV.UK Frontend that a page has. Each of them works without it too.
import { initAll } from "./vendor/govuk-frontend.min.js";

initAll();
