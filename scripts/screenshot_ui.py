"""Takes the pictures of docs/images from a served MLflow store, in a headless browser.

    python -m bertexp ui --port 5000
    python scripts/screenshot_ui.py http://127.0.0.1:5000 docs/images

Needs selenium (pip) and Debian's packages chromium and chromium-driver, which the project itself does not.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --window-size=1500,980"
)
TRAINING = "workflowType=machine_learning"
SETTLE_SECONDS = 6  # charts are drawn after the page has loaded
CHARTS = "(train|val)/(loss|accuracy)"  # what the pages with charts show


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Calls MLflow's REST interface."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{address}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def find_pages(address: str, experiment: str, run_id: str | None) -> dict[str, str]:
    """Returns the pages to show by file name; the newest run where none is named."""
    number = ask(address, f"experiments/get-by-name?experiment_name={experiment}")["experiment"]["experiment_id"]
    wanted = {"experiment_ids": [number], "max_results": 1}
    run_id = run_id or ask(address, "runs/search", wanted)["runs"][0]["info"]["run_id"]
    models = ask(address, "logged-models/search", {"experiment_ids": [number]}).get("models", [])
    runs = f"#/experiments/{number}/runs"
    run = f"{runs}/{run_id}"
    pages = {
        "mlflow_runs": f"{runs}?{TRAINING}",
        "mlflow_charts": f"{runs}?{TRAINING}&compareRunsMode=CHART",
        "mlflow_run": f"{run}?{TRAINING}",
        "mlflow_metrics": f"{run}/model-metrics?{TRAINING}",
        "mlflow_figures": f"{run}/artifacts/figures/curves.png?{TRAINING}",
        "mlflow_predictions": f"{run}/artifacts/predictions.json?{TRAINING}",
        "mlflow_models": f"#/experiments/{number}/models?{TRAINING}",
    }
    sweeps = ask(address, "runs/search", wanted | {"filter": "tags.kind = 'sweep'"}).get("runs", [])
    for sweep in sweeps:
        parent = sweep["info"]["run_id"]
        children = {"experiment_ids": [number], "filter": f"tags.`mlflow.parentRunId` = '{parent}'"}
        ids = json.dumps([run["info"]["run_id"] for run in ask(address, "runs/search", children)["runs"]])
        pages["mlflow_compare"] = f'#/compare-runs?runs={ids}&experiments=["{number}"]'.replace(" ", "")
        pages["mlflow_sweep"] = f"{runs}/{parent}?{TRAINING}"
        pages["mlflow_sweep_figures"] = f"{runs}/{parent}/artifacts/figures/history.png?{TRAINING}"
    for model in models:
        if model["info"].get("source_run_id") == run_id:
            pages["mlflow_model"] = f"#/experiments/{number}/models/{model['info']['model_id']}?{TRAINING}"
    return pages


def open_browser(address: str) -> webdriver.Chrome:
    """Starts the browser with a new profile, and keeps MLflow's assistant from covering a third of each page."""
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS.split():
        options.add_argument(flag)
    browser = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    browser.get(address)
    time.sleep(SETTLE_SECONDS)
    browser.execute_script(
        "for (const key of Object.keys(localStorage))"
        "  if (key.includes('assistant.panelOpen')) localStorage.setItem(key, 'false')"
    )
    return browser


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("address")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--experiment", default="bertexp")
    parser.add_argument("--run", help="its id; the newest one if not given")
    parser.add_argument("--page", action="append", help="only this one, such as mlflow_runs; may be given repeatedly")
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    browser = open_browser(words.address)
    for name, page in find_pages(words.address, words.experiment, words.run).items():
        if words.page and name not in words.page:
            continue
        browser.get("about:blank")  # a new fragment alone would not load the page anew
        browser.get(f"{words.address}/{page}")
        time.sleep(SETTLE_SECONDS)
        for field in browser.find_elements(By.CSS_SELECTOR, "input[placeholder='Search metric charts']"):
            field.send_keys(CHARTS)
            time.sleep(SETTLE_SECONDS)
        browser.execute_script("document.querySelectorAll('.modebar').forEach(bar => bar.remove())")
        browser.save_screenshot(str(words.folder / f"{name}.png"))
        print(words.folder / f"{name}.png")
    browser.quit()


if __name__ == "__main__":
    main()
